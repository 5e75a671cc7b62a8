package authdns

import (
	"crypto"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// exampleKeys makes a key that signs keys and one that signs the rest.
var exampleKeys = sync.OnceValues(func() (*Keys, error) {
	k := &Keys{zone: "\x07example\x03net\x00"}
	for _, flags := range []uint16{flagsKSK, flagsZSK} {
		one, err := generated13(flags)
		if err != nil {
			return nil, err
		}
		k.all = append(k.all, one)
	}
	return k, nil
})

// signed makes a server sign.
func signed(t testing.TB) func(*Config) {
	keys, err := exampleKeys()
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Keys = keys }
}

func generated13(flags uint16) (key, error) {
	record := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: "example.net.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: keyTTL},
		Flags: flags, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	private, err := record.Generate(256)
	if err != nil {
		return key{}, err
	}
	return key{record, private.(crypto.Signer)}, nil
}

// TestKeyFiles loads what GenerateKey writes, and what it must not take.
func TestKeyFiles(t *testing.T) {
	make2 := func(t *testing.T) (dir, ksk, zsk string) {
		dir = t.TempDir()
		ksk, err := GenerateKey(dir, "example.net", true)
		if err != nil {
			t.Fatal(err)
		}
		if zsk, err = GenerateKey(dir, "Example.NET.", false); err != nil {
			t.Fatal(err)
		}
		return dir, ksk, zsk
	}
	edit := func(t *testing.T, file, from, to string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must := func(t *testing.T, err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir, ksk, zsk string)
		want   string // of the error; empty: none
	}{
		{"as written", func(*testing.T, string, string, string) {}, ""},
		{"for the group too", func(t *testing.T, _, _, zsk string) { must(t, os.Chmod(zsk+".private", 0o640)) }, ""},
		{"only a key that signs keys: it signs everything", func(t *testing.T, _, _, zsk string) { must(t, os.Remove(zsk+".key")) }, ""},
		{"published only", func(t *testing.T, _, _, zsk string) { must(t, os.Remove(zsk+".private")) }, ""},
		{"another zone's beside them", func(t *testing.T, dir, _, _ string) {
			_, err := GenerateKey(dir, "example.org", true)
			must(t, err)
		}, ""},
		{"comments", func(t *testing.T, _, ksk, _ string) {
			edit(t, ksk+".key", "", "; This is a key-signing key\n; Created: 2026\n")
		}, ""},
		{"for everyone", func(t *testing.T, _, _, zsk string) { must(t, os.Chmod(zsk+".private", 0o604)) }, "can be read by everyone (want mode 600 or 640)"},
		{"nothing that signs keys", func(t *testing.T, _, ksk, _ string) { must(t, os.Remove(ksk+".private")) }, "no private key with the flag SEP (257)"},
		{"no keys", func(t *testing.T, _, ksk, zsk string) {
			must(t, errors.Join(os.Remove(ksk+".key"), os.Remove(zsk+".key")))
		}, "no private key with the flag SEP (257)"},
		{"another's private key", func(t *testing.T, _, ksk, zsk string) { must(t, os.Rename(zsk+".private", ksk+".private")) }, "the private key is of another key"},
		{"another zone's record", func(t *testing.T, _, ksk, _ string) { edit(t, ksk+".key", "example.net.", "example.org.") }, "is for example.org."},
		{"another algorithm", func(t *testing.T, _, ksk, _ string) { edit(t, ksk+".key", "3 13 ", "3 15 ") }, "algorithm 15 (want 13, ECDSAP256SHA256)"},
		{"revoked", func(t *testing.T, _, ksk, _ string) { edit(t, ksk+".key", "257", "385") }, "flags 385 (want 256 or 257)"},
		{"another record", func(t *testing.T, _, ksk, _ string) {
			must(t, os.WriteFile(ksk+".key", []byte("example.net. IN A 192.0.2.1\n"), 0o644))
		}, "is not a DNSKEY record"},
		{"an empty file", func(t *testing.T, _, ksk, _ string) { must(t, os.WriteFile(ksk+".key", nil, 0o644)) }, "is not a DNSKEY record"},
		{"garbage", func(t *testing.T, _, ksk, _ string) { must(t, os.WriteFile(ksk+".key", []byte("\x00\xff("), 0o644)) }, "key "},
		{"a private key that is none", func(t *testing.T, _, ksk, _ string) {
			must(t, os.WriteFile(ksk+".private", []byte("Private-key-format: v1.3\nAlgorithm: 13\nPrivateKey: AA==\n"), 0o600))
		}, "key "},
		{"an empty private key", func(t *testing.T, _, ksk, _ string) { must(t, os.WriteFile(ksk+".private", nil, 0o600)) }, "key "},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, ksk, zsk := make2(t)
			c.change(t, dir, ksk, zsk)
			keys, err := LoadKeys(dir, "example.net")
			if c.want != "" {
				if err == nil || !strings.HasPrefix(err.Error(), "authdns: key") || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %s", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			// What they sign, validates.
			s := newServer(t, func(cfg *Config) { cfg.Keys = keys })
			now := time.Now()
			v := newValidator(t, s, now)
			v.anyKey = c.name == "only a key that signs keys: it signs everything" || c.name == "published only"
			for _, qtype := range []uint16{dns.TypeSOA, dns.TypeDNSKEY, dns.TypeMX} {
				if _, err := v.validate(askSigned(t, s, "example.net.", qtype, now)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Run("modes", func(t *testing.T) {
		_, ksk, _ := make2(t)
		for ext, want := range map[string]os.FileMode{".private": 0o600, ".key": 0o644} {
			if info, err := os.Stat(ksk + ext); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", ext, info.Mode(), err)
			}
		}
	})
	t.Run("of another zone", func(t *testing.T) {
		cfg := exampleConfig(t)
		dir := t.TempDir()
		if _, err := GenerateKey(dir, "example.org", true); err != nil {
			t.Fatal(err)
		}
		keys, err := LoadKeys(dir, "example.org")
		if err != nil {
			t.Fatal(err)
		}
		cfg.Keys = keys
		if _, err := newServerOf(cfg); err == nil || err.Error() != "authdns: the keys are of example.org., not of example.net." {
			t.Error(err)
		}
	})
	t.Run("probe names in a signed zone of their own only", func(t *testing.T) {
		cfg := exampleConfig(t)
		signed(t)(&cfg)
		cfg.Probe, cfg.State = "example.net", State{}
		if _, err := newServerOf(cfg); err == nil || !strings.Contains(err.Error(), "probe names cannot be signed") {
			t.Error(err)
		}
	})
	t.Run("a directory that is not there", func(t *testing.T) {
		if _, err := GenerateKey(t.TempDir()+"/nope", "example.net", true); err == nil {
			t.Error("no error")
		}
	})
}
