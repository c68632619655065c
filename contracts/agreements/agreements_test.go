package agreements_test

import (
	"testing"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/codec/codectest"
)

func TestCodec(t *testing.T) { codectest.Golden(t, agreements.Codec, "testdata/events") }
