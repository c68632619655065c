package service

import (
	"context"

	"github.com/google/uuid"
)

// Vault is the part of vault.Vault that Deps needs.
type Vault interface {
	HMAC(purpose string, parts ...string) []byte
	ID(purpose string, parts ...string) uuid.UUID
	Seal(ctx context.Context, subject, field string, plaintext []byte, size int) (string, error)
	Open(ctx context.Context, subject, field, sealed string) ([]byte, error)
	ReleaseKey(ctx context.Context, subject string) (keyset string, err error)
	DestroyKey(ctx context.Context, subject string) error
}

// Blobs is the part of blobs.Bucket that Deps needs.
type Blobs interface {
	Put(ctx context.Context, data []byte) (hash string, err error)
	Get(ctx context.Context, hash string) ([]byte, error)
}
