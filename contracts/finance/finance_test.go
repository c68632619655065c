package finance_test

import (
	"testing"

	"github.com/yimu-ledger/yimu/contracts/codec/codectest"
	"github.com/yimu-ledger/yimu/contracts/finance"
)

func TestCodec(t *testing.T) { codectest.Golden(t, finance.Codec, "testdata/events") }
