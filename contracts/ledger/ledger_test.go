package ledger_test

import (
	"testing"

	"github.com/yimu-ledger/yimu/contracts/codec/codectest"
	"github.com/yimu-ledger/yimu/contracts/ledger"
)

func TestCodec(t *testing.T) { codectest.Golden(t, ledger.Codec, "testdata/events") }
