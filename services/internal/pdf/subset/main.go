// Command subset makes the font that PDFs are set in: wqy-microhei.ttf.gz out of
// WenQuanYi Micro Hei (文泉驿微米黑), of which it leaves out what Chinese does
// not need, and the hints. The same file in gives the same bytes out; run it
// with `make font`.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"

	"github.com/yimu-ledger/yimu/services/internal/pdf/truetype"
)

// whole is the SHA-256 of wqy-microhei.ttc, 0.2.0-beta, as Debian has it.
const whole = "2420e8078af796b19a3f6ef13de527a1a91c1e7171eea115926c614ced1009b3"

// ranges of characters that are kept.
var ranges = [][2]rune{
	{0x0020, 0x007e}, {0x00a0, 0x00ff}, // Latin
	{0x2000, 0x206f}, {0x20ac, 0x20ac}, // punctuation
	{0x2100, 0x22ff}, {0x2460, 0x24ff}, {0x2500, 0x26ff}, {0x2700, 0x27bf}, // signs
	{0x2e80, 0x2fdf}, {0x3000, 0x303f}, {0x3200, 0x33ff}, // Chinese signs
	{0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xf900, 0xfaff}, {0x20000, 0x2ffff}, // Chinese characters: people have rare names
	{0xfe30, 0xfe4f}, {0xff00, 0xffef}, // full width
}

func main() {
	from := flag.String("from", "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", "the whole font, of Debian's fonts-wqy-microhei")
	to := flag.String("to", "wqy-microhei.ttf.gz", "what is made of it")
	flag.Parse()
	if err := run(*from, *to); err != nil {
		fmt.Fprintln(os.Stderr, "subset:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	file, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(file); hex.EncodeToString(sum[:]) != whole {
		return fmt.Errorf("%s is another version of the font: it has SHA-256 %x, not %s", from, sum, whole)
	}
	font, err := truetype.Parse(file)
	if err != nil {
		return err
	}
	kept := slices.DeleteFunc(font.Runes(), func(r rune) bool {
		return !slices.ContainsFunc(ranges, func(of [2]rune) bool { return of[0] <= r && r <= of[1] })
	})
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	_, err = w.Write(font.Subset(kept))
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	fmt.Printf("%s: %d characters, %d bytes\n", to, len(kept), b.Len())
	return os.WriteFile(to, b.Bytes(), 0o644)
}
