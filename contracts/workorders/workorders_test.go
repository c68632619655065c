package workorders_test

import (
	"testing"

	"github.com/yimu-ledger/yimu/contracts/codec/codectest"
	"github.com/yimu-ledger/yimu/contracts/workorders"
)

func TestCodec(t *testing.T) { codectest.Golden(t, workorders.Codec, "testdata/events") }
