package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/yimu-ledger/yimu/libs/proof"
)

// fileOf reads a file that somebody named, and says plainly where there is none.
func fileOf(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s", path)
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a directory, and a file is wanted", path)
	case err != nil:
		return nil, err
	}
	return os.ReadFile(path)
}

// noSuch says that a file is not what is wanted, and what it is as far as that can
// be told; otherwise why it cannot be read.
func noSuch(wanted, path string, text []byte, why error) error {
	noun, is := kindOf(text)
	if noun != "" && strings.Contains(wanted, noun) { // it is one, and does not hold
		is = visible(strings.TrimPrefix(why.Error(), "proof: "))
	}
	return fmt.Errorf("%s is no %s: %s", path, wanted, is)
}

// asSent is what helps where a program changed a file.
const asSent = "a program changed it on its way; save it just as the site sends it, such as with curl -o FILE"

// kindOf tells a file that is not what was wanted: what it is called, where it is
// one of ours, and a sentence.
func kindOf(text []byte) (noun, is string) {
	trimmed := bytes.TrimSpace(text)
	lines := strings.ReplaceAll(string(text), "\r\n", "\n")
	switch {
	case len(trimmed) == 0:
		return "", "it is empty"
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")), bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return "", "its text begins with a mark of its encoding: " + asSent
	case bytes.HasPrefix(text, []byte("PK")):
		return "", "it is a zip archive, perhaps a bundle, which yimu verify bundle checks"
	case trimmed[0] == '<':
		return "", "it is a web page; what is wanted is a file behind it"
	case bytes.Contains(text, []byte("PRIVATE+KEY+")):
		return "", "it is a private key, which nobody else may have; yimu key show prints the public one"
	case trimmed[0] == '{':
		return kindOfJSON(trimmed)
	}
	if _, err := proof.ParseCheckpoint(lines); err == nil {
		if lines != string(text) {
			return "", "it is a checkpoint whose lines do not end as they were signed: " + asSent
		}
		return "checkpoint", "it is a checkpoint, which yimu verify consistency takes"
	}
	if _, err := proof.ParseKeys(lines); err == nil {
		return "public key", "it is a public key, which --key takes"
	}
	if len(trimmed) < 4096 && strings.Count(lines, "+") >= 2 && utf8.Valid(text) {
		return "", "it seems to be of keys, and not all are whole: a letter is wrong, or one is missing"
	}
	return "", "it is of a kind that is not known here"
}

func kindOfJSON(text []byte) (noun, is string) {
	var document struct {
		Format string `json:"format"`
		Code   string `json:"code"` // of a refusal
		Detail string `json:"detail"`
	}
	err := json.Unmarshal(text, &document)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax) && syntax.Offset >= int64(len(text)):
		return "", "it is cut off"
	case errors.As(err, &syntax):
		return "", "it is damaged: JSON is written in another way"
	case document.Format == proof.ReceiptFormat:
		return "receipt", "it is a receipt, which yimu verify receipt checks"
	case document.Format == proof.ExtensionFormat:
		return "extension", "it is an extension, which yimu verify consistency takes"
	case document.Code != "" && document.Detail != "":
		return "", visible("it is what the site answers when it refuses: " + document.Code + ", " + document.Detail)
	}
	return "", "it is JSON of a kind that is not known here"
}
