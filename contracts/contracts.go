// Package contracts holds a JSON Schema for each type of event, for those who hand
// them out together with events.
package contracts

import "embed"

// Schemas are files, schemas/<context>/<stored name>.json.
//
//go:embed schemas/*/*.json
var Schemas embed.FS
