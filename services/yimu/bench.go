package main

import "context"

type BenchCmd struct{}

func (c *BenchCmd) Run(ctx context.Context) error { return nil }
