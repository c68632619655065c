package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/schollz/progressbar/v3"

	"github.com/yimu-ledger/yimu/services/yimu/internal/office"
)

type ImportCmd struct {
	Dir    string `arg:"" help:"Folder with the papers, such as 房屋清册.csv; any of them, CSV or XLSX." type:"existingdir"`
	Server string `help:"Where the system answers." default:"http://127.0.0.1:8080" env:"YIMU_SERVER"`
	Token  string `help:"Access token of a clerk of the estate, or of an administrator; see yimu token." required:"" env:"YIMU_TOKEN"`
	Estate string `help:"Id of the estate, a UUID; an estate that is not there yet is founded under it." required:""`
	Name   string `help:"What an estate that is founded is called; else as its papers say, or as the folder is called."`
	DryRun bool   `help:"Have the papers checked and change nothing."`
}

func (c *ImportCmd) Run(ctx context.Context) error {
	folder, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	bar := &bar{}
	result, err := office.Import{
		Server: c.Server, Token: c.Token, Estate: c.Estate, Name: c.Name,
		Papers: os.DirFS(folder), Folder: filepath.Base(folder), DryRun: c.DryRun, Progress: bar.step,
	}.Run(ctx)
	bar.end()
	result.Write(os.Stdout)
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted; what is recorded stays, run the same again to finish")
	case err != nil:
		return err
	case !result.OK():
		return exitError{1}
	}
	return nil
}

// bar shows a person on a terminal how far a file is; a log gets nothing.
type bar struct {
	file string
	at   *progressbar.ProgressBar
}

func (b *bar) step(file string, done, total int) {
	info, err := os.Stderr.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return
	}
	if b.file != file {
		b.end()
		b.file = file
		b.at = progressbar.NewOptions(-1,
			progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription(file),
			progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(20))
	}
	if total > 0 {
		b.at.ChangeMax(total)
	}
	_ = b.at.Set(done) // what cannot be drawn is not worth an error
}

// end clears the line.
func (b *bar) end() {
	if b.at != nil {
		fmt.Fprint(os.Stderr, "\r\033[K")
		b.at = nil
	}
}
