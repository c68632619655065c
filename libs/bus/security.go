package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Security is how brokers are spoken to, in words that fit flags and variables.
// Its zero value is plain text without authentication.
type Security struct {
	TLS       bool
	CA        string // file of certificates to trust, PEM; empty: those of the machine. It implies TLS
	User      string // of SASL; empty: none
	Password  string
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty: the last
}

// Apply sets the TLS and SASL of a Config.
func (s Security) Apply(c *Config) error {
	if s.TLS || s.CA != "" {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return fmt.Errorf("bus: certificates to trust: %w", err)
		}
		c.TLS.RootCAs = x509.NewCertPool()
		if !c.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("bus: %s holds no certificate in PEM", s.CA)
		}
	}
	if s.User == "" {
		if s.Password != "" {
			return errors.New("bus: a password, but no user")
		}
		return nil
	}
	var err error
	c.SASL, err = s.mechanism()
	return err
}

func (s Security) mechanism() (sasl.Mechanism, error) {
	switch s.Mechanism {
	case "PLAIN":
		if !s.TLS && s.CA == "" {
			return nil, errors.New("bus: PLAIN sends the password as it is, so it needs TLS")
		}
		return plain.Mechanism{Username: s.User, Password: s.Password}, nil
	case "SCRAM-SHA-256":
		return scram.Mechanism(scram.SHA256, s.User, s.Password)
	case "SCRAM-SHA-512", "":
		return scram.Mechanism(scram.SHA512, s.User, s.Password)
	}
	return nil, fmt.Errorf("bus: no SASL mechanism is called %q; PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are", s.Mechanism)
}
