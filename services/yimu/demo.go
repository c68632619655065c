package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	contract "github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/services/yimu/internal/office"
)

// demoPapers are the papers of one estate: households, dates and the collection
// rate follow a public report, every person and amount is made up.
//
//go:embed demo/xiushan
var demoPapers embed.FS

// demoEstate is the id of the demonstration estate.
const demoEstate = "5ee5a0c2-3f0b-4d5e-9c56-0a1b2c3d4e5f"

// demoPerson is someone to log in as.
type demoPerson struct {
	who        string
	role       contract.Role // none for an owner: titles decide
	everywhere bool
}

var demoPeople = []demoPerson{
	{"committee member 业委会成员", contract.Committee, false},
	{"community clerk 社区工作人员", contract.Clerk, false},
	{"provider 物业服务人", contract.Provider, false},
	{"principal 委托方(街道)", contract.Principal, false},
	{"regulator 监管部门", contract.Regulator, true},
	{"administrator 系统管理员", contract.Administrator, true},
}

// demonstrate imports the demonstration estate at the first start, through the
// API as an office does, and prints a way in for every role.
func (s *Site) demonstrate(ctx context.Context, url string, out io.Writer) error {
	token, err := s.issueToken(ctx, tokenCmd{Role: string(contract.Administrator), Label: "demonstration", Life: time.Hour})
	if err != nil {
		return err
	}
	d := demo{url: url, token: token}
	if err := d.importPapers(ctx, out); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n  一目 yimu: the demonstration estate is at %s/estates/%s\n\n  Log in with one of these links. Each works once and for a day; start again for new ones.\n\n", url, demoEstate)
	owner, err := d.owner()
	if err != nil {
		return err
	}
	if err := d.invite(ctx, out, "owner 业主 "+owner["房屋编号"], map[string]string{
		"name": owner["业主姓名"], "document_kind": owner["证件类型"], "document": owner["证件号"], "phone": owner["手机"],
	}, demoPerson{}); err != nil {
		return err
	}
	for _, p := range demoPeople {
		body := map[string]string{"name": "示例 " + string(p.role), "document_kind": "工号", "document": "DEMO-" + string(p.role)}
		if err := d.invite(ctx, out, p.who, body, p); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(out)
	return err
}

type demo struct{ url, token string }

// importPapers does what yimu import does, with the papers in the binary.
func (d demo) importPapers(ctx context.Context, out io.Writer) error {
	resp, err := d.send(ctx, http.MethodGet, "/estates/"+demoEstate, nil)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil // imported at an earlier start
	}
	papers, err := fs.Sub(demoPapers, "demo/xiushan")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "Importing the papers of the demonstration estate …")
	result, err := office.Import{Server: d.url, Token: d.token, Estate: demoEstate, Papers: papers}.Run(ctx)
	if err != nil {
		return err
	}
	if !result.OK() {
		return errors.New("its papers were not taken whole")
	}
	return nil
}

// owner returns the row of a voting owner of one home.
func (d demo) owner() (map[string]string, error) {
	file, err := demoPapers.ReadFile("demo/xiushan/业主名册.csv")
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(file, []byte("\ufeff")))).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, row := range rows[1:] {
		owner := map[string]string{}
		for i, heading := range rows[0] {
			owner[heading] = row[i]
		}
		if owner["表决代表"] == "是" && owner["手机"] != "" {
			return owner, nil
		}
	}
	return nil, fmt.Errorf("the title list has no voting owner")
}

// invite makes a person known, gives them their role and prints a log-in link.
func (d demo) invite(ctx context.Context, out io.Writer, who string, person map[string]string, p demoPerson) error {
	var known struct {
		ID string `json:"id"`
	}
	if err := d.post(ctx, "/people", person, &known); err != nil {
		return err
	}
	if p.role != "" {
		role := map[string]string{"role": string(p.role)}
		if !p.everywhere {
			role["estate"] = demoEstate
		}
		if err := d.post(ctx, "/people/"+known.ID+"/roles", role, nil); err != nil {
			return err
		}
	}
	var code struct {
		Code string `json:"code"`
	}
	if err := d.post(ctx, "/people/"+known.ID+"/login-codes", nil, &code); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "    %s/login#%s   %s\n", d.url, code.Code, who)
	return err
}

func (d demo) post(ctx context.Context, path string, body, answer any) error {
	resp, err := d.send(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusMultipleChoices || resp.StatusCode == http.StatusAccepted {
		return fmt.Errorf("POST %s: %s %s", path, resp.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

func (d demo) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.url+"/api/v1"+path, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", strings.ReplaceAll(path, "/", "-")+time.Now().Format(time.RFC3339Nano))
	return http.DefaultClient.Do(req)
}
