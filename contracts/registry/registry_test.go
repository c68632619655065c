package registry_test

import (
	"testing"

	"github.com/yimu-ledger/yimu/contracts/codec/codectest"
	"github.com/yimu-ledger/yimu/contracts/registry"
)

func TestCodec(t *testing.T) { codectest.Golden(t, registry.Codec, "testdata/events") }
