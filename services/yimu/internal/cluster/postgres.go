package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresConfig says what PostgreSQL to start.
type PostgresConfig struct {
	// Fsync makes it wait for the disk, as it must where data counts; tests do
	// without.
	Fsync bool
}

// Postgres is a running PostgreSQL with the databases "yimu", for read models,
// and "vault". Its user yimu needs no password.
type Postgres struct {
	*Process
	Addr string
}

// URL is the connection string of a database.
func (p *Postgres) URL(database string) string { return p.at(p.Addr, database) }

// at is the connection string of a database by another way.
func (p *Postgres) at(addr, database string) string {
	return fmt.Sprintf("postgres://yimu@%s/%s?sslmode=disable", addr, database)
}

// Postgres starts Debian's PostgreSQL, as user nobody where this process is root's.
func (c *Cluster) Postgres(ctx context.Context, config PostgresConfig) (*Postgres, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(c.Dir, "postgres")
	if err := os.Mkdir(home, 0o755); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	as, err := commoner(home)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(home, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "yimu", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = home, &syscall.SysProcAttr{Credential: as}
	out, err := initdb.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("cluster: PostgreSQL refuses to run as root, and user nobody cannot enter %s; set TMPDIR to a directory that he can: %w", c.Dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: initdb: %w\n%s", err, out)
	}
	addr := FreeAddr()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	fsync := "off"
	if config.Fsync {
		fsync = "on"
	}
	p := &Postgres{Addr: addr}
	p.Process = c.add(&Process{
		Name: "postgres", Dir: home, as: as,
		Args: []string{
			filepath.Join(bin, "postgres"), "-D", data, "-c", "listen_addresses=" + host, "-c", "port=" + port,
			"-c", "unix_socket_directories=", "-c", "fsync=" + fsync, "-c", "max_connections=400",
		},
		ready: p.ping,
		end:   syscall.SIGINT,  // ends sessions, then stops
		death: syscall.SIGQUIT, // its own children hear of it
	})
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	for _, database := range []string{"yimu", "vault"} {
		if err := p.exec(ctx, "CREATE DATABASE "+database); err != nil {
			return nil, fmt.Errorf("cluster: database %s: %w", database, err)
		}
	}
	return p, nil
}

// Start starts it again after Kill, once the sessions of the last run have
// noticed that it is gone.
func (p *Postgres) Start(ctx context.Context) error {
	for deadline := time.Now().Add(patience); ; {
		err := p.Process.Start(ctx)
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) || p.Running() {
			return err
		}
	}
}

// Restart is Kill and Start.
func (p *Postgres) Restart(ctx context.Context) error {
	p.Kill()
	return p.Start(ctx)
}

func (p *Postgres) ping(ctx context.Context) error { return p.exec(ctx, "SELECT 1") }

func (p *Postgres) exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// postgresPrograms returns where the server's programs are; Debian keeps them
// out of the way, by version.
func postgresPrograms() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			found = append(found, initdb)
		}
	}
	if len(found) == 0 {
		return "", errors.New("cluster: PostgreSQL is missing; install it (Debian: apt-get install postgresql)")
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return majorVersion(a) - majorVersion(b) })
	return filepath.Dir(newest), nil
}

func majorVersion(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

// commoner returns who is to run what refuses to run as root, and gives him a
// directory; nil where this process is not root's.
func commoner(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("cluster: PostgreSQL refuses to run as root, and there is no user nobody: %w", err)
	}
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, int(uid), int(gid))
}
