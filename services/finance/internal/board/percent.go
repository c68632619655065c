package board

import (
	"fmt"

	"github.com/danielgtaylor/huma/v2"
)

// Percent is a share in tenths of a percent, written as a number with one decimal.
type Percent int64

// MarshalJSON implements json.Marshaler: 833 is 83.3.
func (p Percent) MarshalJSON() ([]byte, error) {
	sign := ""
	if p < 0 {
		sign, p = "-", -p
	}
	return fmt.Appendf(nil, "%s%d.%d", sign, p/10, p%10), nil
}

// Schema implements huma.SchemaProvider.
func (Percent) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeNumber} }
