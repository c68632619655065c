// Package browser lets a test use the site as a person does: what it sees it sees
// in Chromium, and what it does it does with a mouse or with keys. Nothing waits
// for a length of time: a person waits for what they should see, up to Patience.
package browser

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Patience is how long a person waits for something: a machine may be slow and busy.
const Patience = 90 * time.Second

// Keys that a person presses.
const (
	Tab      = kb.Tab
	Enter    = kb.Enter
	Space    = " "
	Right    = kb.ArrowRight
	Home     = kb.Home
	PageDown = kb.PageDown
)

//go:embed seen.js
var seen string

// Browser is a Chromium of a test's own.
type Browser struct {
	t    testing.TB
	ctx  context.Context
	many int
}

// Start starts a browser that ends with the test.
func Start(t testing.TB) *Browser {
	t.Helper()
	profile := t.TempDir()
	// A PDF is kept as a file, not shown.
	preferences := filepath.Join(profile, "Default", "Preferences")
	if err := errors.Join(os.MkdirAll(filepath.Dir(preferences), 0o700), os.WriteFile(preferences, []byte(`{"plugins":{"always_open_pdf_externally":true}}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.UserDataDir(profile), chromedp.Flag("lang", "zh-CN"), chromedp.Flag("hide-scrollbars", true))
	if path := os.Getenv("CHROMIUM"); path != "" {
		options = append(options, chromedp.ExecPath(path))
	}
	process, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, _ := chromedp.NewContext(process)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // it may have ended by itself
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	return &Browser{t: t, ctx: ctx}
}

// Person is someone with a device of their own: a window, cookies and an address.
type Person struct {
	Name string

	t     testing.TB
	ctx   context.Context
	width int64
	files string // where what they download goes

	mu     sync.Mutex
	errors []string // of their browser's console
}

// Person has someone sit down before a screen of so many pixels.
func (b *Browser) Person(name string, width int) *Person {
	b.t.Helper()
	b.many++
	ctx, stop := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	p := &Person{Name: name, t: b.t, ctx: ctx, width: int64(width), files: b.t.TempDir()}
	b.t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil { // a window lives as long as the context it was opened in
		b.t.Fatal(err)
	}
	p.do(
		p.sized(p.width),
		command(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"X-Real-Ip": fmt.Sprintf("192.0.2.%d", b.many)}}),
		command(browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: p.files, BrowserContextID: chromedp.FromContext(ctx).BrowserContextID}),
	)
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			// A page that refuses a form has a status of 4xx, and says why in words.
			if err == nil && (m.Type == chromedp.ConsoleError || m.IsException()) && !strings.Contains(m.Text, "status of 4") {
				p.mu.Lock()
				p.errors = append(p.errors, m.Text)
				p.mu.Unlock()
			}
		}
	}()
	return p
}

// With has them use the site in another test, or in a part of one.
func (p *Person) With(t testing.TB) *Person {
	p.t = t
	return p
}

// NoScripts turns scripts off for good.
func (p *Person) NoScripts() *Person {
	p.t.Helper()
	p.do(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	return p
}

func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func (p *Person) sized(width int64) chromedp.Action[chromedp.Void] {
	if width < 600 {
		return chromedp.EmulateViewport(width, 844, chromedp.EmulateMobile, chromedp.EmulatePortrait)
	}
	return chromedp.EmulateViewport(width, 844)
}

func (p *Person) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.ctx, Patience)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v", p.Name, err)
	}
}

// ask has the page answer a question; it may be between two pages, and then does not.
func ask[T any](p *Person, question string, args ...any) (answer T, err error) {
	words := make([]any, len(args))
	for i, a := range args {
		text, err := json.Marshal(a)
		if err != nil {
			return answer, err
		}
		words[i] = string(text)
	}
	ctx, stop := context.WithTimeout(p.ctx, Patience)
	defer stop()
	return chromedp.Run(ctx, chromedp.Evaluate[T]("(() => {"+seen+"\nreturn "+fmt.Sprintf(question, words...)+"})()"))
}

// await asks until the answer is good.
func await[T any](p *Person, good func(T) bool, what, question string, args ...any) T {
	p.t.Helper()
	for deadline := time.Now().Add(Patience); ; time.Sleep(20 * time.Millisecond) {
		answer, err := ask[T](p, question, args...)
		if err == nil && good(answer) {
			return answer
		}
		if p.ctx.Err() != nil || time.Now().After(deadline) {
			p.t.Fatalf("%s waits in vain for %s (%v)%s", p.Name, what, err, p.describe())
		}
	}
}

func yes(b bool) bool { return b }

// describe tells what the page says, to who reads of a failure.
func (p *Person) describe() string {
	where, _ := ask[string](p, `location.href`)
	words, _ := ask[string](p, `document.body?.innerText ?? ""`)
	return fmt.Sprintf("\nat %s, which says:\n%s", where, words)
}

// leave marks a page, arrive waits until another is there.
func (p *Person) leave() {
	p.t.Helper()
	if _, err := ask[bool](p, `window.pageBefore = true`); err != nil {
		p.t.Fatalf("%s: %v", p.Name, err)
	}
}

func (p *Person) arrive(by string) {
	p.t.Helper()
	await(p, yes, "the page after "+by, `!window.pageBefore && document.readyState === "complete"`)
}

// Open opens an address, as from a link in a message.
func (p *Person) Open(address string) *Person {
	p.t.Helper()
	p.do(chromedp.Navigate(address))
	return p
}

// See waits until the page shows all of these words.
func (p *Person) See(words ...string) *Person {
	p.t.Helper()
	for _, w := range words {
		await(p, yes, fmt.Sprintf("%q", w), `text(document.body).includes(%s)`, w)
	}
	return p
}

// Lacks wants none of these words on the page that is there.
func (p *Person) Lacks(words ...string) *Person {
	p.t.Helper()
	for _, w := range words {
		if there, err := ask[bool](p, `text(document.body).includes(%s)`, w); err != nil || there {
			p.t.Errorf("%s sees %q (%v)%s", p.Name, w, err, p.describe())
		}
	}
	return p
}

type spot struct{ X, Y float64 }

func (p *Person) clickAt(what, question string, args ...any) {
	p.t.Helper()
	at := await(p, func(s *spot) bool { return s != nil }, what+" to click", "point("+question+")", args...)
	p.do(chromedp.MouseClickXY(at.X, at.Y))
}

// Click clicks what says these words, and stays on the page.
func (p *Person) Click(words string) *Person {
	p.t.Helper()
	p.clickAt(fmt.Sprintf("%q", words), `clickable(%s)`, words)
	return p
}

// Follow clicks a link or a button that leads to another page, and waits for it.
func (p *Person) Follow(words string) *Person {
	p.t.Helper()
	p.leave()
	p.Click(words)
	p.arrive(words)
	return p
}

// Choose clicks one of the choices of a question.
func (p *Person) Choose(question, words string) *Person {
	p.t.Helper()
	p.clickAt(fmt.Sprintf("%q of %q", words, question), `choice(%s, %s)`, question, words)
	return p
}

// Fill writes into the field with this label. Of a date, a time and a list the
// value is set, as by the browser's own picker.
func (p *Person) Fill(label, value string) *Person {
	p.t.Helper()
	return p.FillIn("", label, value)
}

// FillIn is Fill where several questions of a form have such a field: it writes into
// that of the question with these words.
func (p *Person) FillIn(question, label, value string) *Person {
	p.t.Helper()
	const field = `field(%s, %s)`
	kind := await(p, func(kind string) bool { return kind != "" }, fmt.Sprintf("the field %q", label), field+`?.type ?? ""`, label, question)
	switch kind {
	case "date", "datetime-local", "time", "select-one":
		set, err := ask[bool](p, `(() => { const f = `+field+`; const o = [...(f.options ?? [])].find((o) => text(o) === %s || o.textContent.trim() === %s);
			f.value = o ? o.value : %s; f.dispatchEvent(new Event("input", { bubbles: true })); f.dispatchEvent(new Event("change", { bubbles: true })); return f.value !== "" })()`, label, question, value, value, value)
		if err != nil || !set {
			p.t.Fatalf("%s cannot choose %q as %q (%v)%s", p.Name, value, label, err, p.describe())
		}
		return p
	}
	p.clickAt(fmt.Sprintf("the field %q", label), field, label, question)
	await(p, yes, fmt.Sprintf("the focus in %q", label), `(() => { const f = `+field+`; f.select?.(); return document.activeElement === f })()`, label, question)
	p.do(command(input.InsertText, input.InsertTextParams{Text: value}))
	return p
}

// Attach chooses a file for the field with this label.
func (p *Person) Attach(label, file string) *Person {
	p.t.Helper()
	await(p, yes, fmt.Sprintf("the field %q", label), `(() => { const f = field(%s); if (f) { document.querySelectorAll("[data-chosen]").forEach((e) => e.removeAttribute("data-chosen")); f.dataset.chosen = "" } return !!f })()`, label)
	p.do(chromedp.SetUploadFiles(chromedp.CSS("[data-chosen]"), []string{file}))
	return p
}

// Filled waits until something stands in the field with this label.
func (p *Person) Filled(label string) *Person {
	p.t.Helper()
	await(p, yes, fmt.Sprintf("something in %q", label), `field(%s).value !== ""`, label)
	return p
}

// Press presses keys, one after the other.
func (p *Person) Press(keys string) *Person {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
	return p
}

// Type writes where the focus is.
func (p *Person) Type(text string) *Person {
	p.t.Helper()
	p.do(chromedp.KeyEvent(text))
	return p
}

// TabTo presses Tab until the focus is on what says these words or, of a choice,
// on one of the question. On its way the focus must never be lost from sight.
func (p *Person) TabTo(words string) *Person {
	p.t.Helper()
	var passed []string
	for range 80 {
		p.Press(Tab)
		at, err := ask[struct{ Words, Group, Wrong string }](p, `focused()`)
		if err != nil {
			p.t.Fatalf("%s: %v", p.Name, err)
		}
		if at.Wrong != "" {
			p.t.Errorf("%s cannot see the focus on %q: %s", p.Name, at.Words, at.Wrong)
		}
		if strings.Contains(at.Words, words) || strings.Contains(at.Group, words) {
			return p
		}
		passed = append(passed, at.Words)
	}
	p.t.Fatalf("%s does not come to %q with Tab, but to %q%s", p.Name, words, passed, p.describe())
	return p
}

// Enter presses Enter on what has the focus, and waits for the page it leads to.
func (p *Person) Enter() *Person {
	p.t.Helper()
	p.leave()
	p.Press(Enter)
	p.arrive("Enter")
	return p
}

// Download returns the file that they get by what they do.
func (p *Person) Download(do func()) []byte {
	p.t.Helper()
	do()
	for deadline := time.Now().Add(Patience); ; time.Sleep(20 * time.Millisecond) {
		// Until it is whole it is empty, or has another name.
		if files, _ := filepath.Glob(filepath.Join(p.files, "*")); len(files) == 1 && !strings.HasSuffix(files[0], ".crdownload") {
			if file, err := os.ReadFile(files[0]); err == nil && len(file) > 0 {
				if err := os.Remove(files[0]); err != nil {
					p.t.Fatal(err)
				}
				return file
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s waits in vain for a file%s", p.Name, p.describe())
		}
	}
}

// Judge wants a page that everyone can use: nothing that axe-core finds, no target
// under 44 px, nothing wider than a phone, no error of the browser. axe is its source.
func (p *Person) Judge(axe string) {
	p.t.Helper()
	p.do(p.sized(390))
	if wide, err := ask[int64](p, `document.documentElement.scrollWidth`); err != nil || wide > 390 {
		p.t.Errorf("%s: at 390 px the page is %d px wide (%v)%s", p.Name, wide, err, p.describe())
	}
	small, err := ask[[]string](p, `small()`)
	if err != nil || len(small) > 0 {
		p.t.Errorf("%s: small targets %q (%v)", p.Name, small, err)
	}
	p.do(p.sized(p.width))
	ctx, stop := context.WithTimeout(p.ctx, Patience)
	defer stop()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](axe+`;
		axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then((r) => r.violations.map((v) => v.id + " ×" + v.nodes.length + " " + v.nodes[0].html.slice(0, 160) + " " + v.nodes[0].failureSummary))`, chromedp.EvalAwaitPromise))
	if err != nil || len(found) > 0 {
		p.t.Errorf("%s: axe finds %q (%v)", p.Name, found, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.errors) > 0 {
		p.t.Errorf("%s: the browser says %q", p.Name, p.errors)
		p.errors = nil
	}
}

// Where is the address of the page.
func (p *Person) Where() string {
	p.t.Helper()
	return await(p, func(s string) bool { return s != "" }, "an address", `location.href`)
}

// Read waits until something of the page is shown that a CSS selector names, and
// returns its words.
func (p *Person) Read(selector string) string {
	p.t.Helper()
	return await(p, func(s string) bool { return s != "" }, "words in "+selector, `text(found(%s, ""))`, selector)
}

// Chosen are the choices that are marked on the page.
func (p *Person) Chosen() []string {
	p.t.Helper()
	return await(p, func([]string) bool { return true }, "choices", `[...document.querySelectorAll("main input:checked")].map((e) => text(e.closest("label")))`)
}

// Reload loads the page again and again until it shows these words.
func (p *Person) Reload(words string) *Person {
	p.t.Helper()
	for deadline := time.Now().Add(Patience); ; time.Sleep(100 * time.Millisecond) {
		p.do(chromedp.Reload())
		there, err := ask[bool](p, `text(document.body).includes(%s)`, words)
		if err == nil && there {
			return p
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s waits in vain for %q (%v)%s", p.Name, words, err, p.describe())
		}
	}
}

// Picture is the page as they see it, up to so many pixels high, as a PNG.
func (p *Person) Picture(high int) []byte {
	p.t.Helper()
	height, err := ask[float64](p, `(() => { document.activeElement?.blur(); scrollTo(0, 0); return document.documentElement.scrollHeight })()`)
	if err != nil {
		p.t.Fatalf("%s: %v", p.Name, err)
	}
	return p.shoot(page.Viewport{Width: float64(p.width), Height: min(height, float64(high)), Scale: 1})
}

// Shot is what they see of something of the page that a CSS selector names.
func (p *Person) Shot(selector string) image.Image {
	p.t.Helper()
	box := await(p, func(b *page.Viewport) bool { return b != nil }, "a picture of "+selector,
		`(() => { const e = found(%s, ""); if (!e) return null; const b = e.getBoundingClientRect(); return { x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height, scale: 1 } })()`, selector)
	shot, err := png.Decode(bytes.NewReader(p.shoot(*box)))
	if err != nil {
		p.t.Fatalf("%s: %v", p.Name, err)
	}
	return shot
}

// shoot takes a picture of a part of the page.
func (p *Person) shoot(part page.Viewport) []byte {
	p.t.Helper()
	yes := true
	ctx, stop := context.WithTimeout(p.ctx, Patience)
	defer stop()
	shot, err := chromedp.Run(ctx, func(ctx context.Context, t *chromedp.Target) (page.CaptureScreenshotResult, error) {
		return cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &yes, Clip: &part})
	})
	if err == nil && !bytes.HasPrefix(shot.Data, []byte("\x89PNG")) {
		err = errors.New("no PNG")
	}
	if err != nil {
		p.t.Fatalf("%s: %v", p.Name, err)
	}
	return shot.Data
}
