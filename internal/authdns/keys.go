package authdns

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/miekg/dns"
)

// Flags of a DNSKEY (RFC 4034, section 2.1.1).
const (
	flagsZSK = dns.ZONE
	flagsKSK = dns.ZONE | dns.SEP
)

// keyTTL is the TTL of DNSKEY, CDS and CDNSKEY records, seconds.
const keyTTL = 3600

// Keys are a zone's DNSSEC keys: ECDSA P-256 with SHA-256 (algorithm 13, RFC
// 6605).
type Keys struct {
	zone name
	all  []key
}

type key struct {
	record  *dns.DNSKEY
	private crypto.Signer // nil: published, does not sign
}

// LoadKeys reads the keys of a zone from the files K<zone>.+013+*.key and
// .private in dir, in the format that BIND's dnssec-keygen writes. A key
// without its .private file is published and signs nothing: that is how a new
// one is announced ahead of its use. Keys with the flag SEP (257) sign the keys;
// those without (256) sign the rest, and if there are none, those with it do.
func LoadKeys(dir, zoneName string) (*Keys, error) {
	zone, err := newName(zoneName)
	if err != nil {
		return nil, fmt.Errorf("authdns: keys: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "K"+zone.text()+"+013+*.key"))
	if err != nil {
		return nil, fmt.Errorf("authdns: keys: %w", err)
	}
	k := &Keys{zone: zone}
	for _, file := range files {
		one, err := loadKey(file)
		if err != nil {
			return nil, fmt.Errorf("authdns: key %s: %w", file, err)
		}
		if !sameOwner(one.record.Hdr.Name, zone) {
			return nil, fmt.Errorf("authdns: key %s is for %s", file, one.record.Hdr.Name)
		}
		one.record.Hdr = dns.RR_Header{Name: zone.text(), Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: keyTTL}
		k.all = append(k.all, one)
	}
	if len(k.signers(dns.TypeDNSKEY)) == 0 {
		return nil, fmt.Errorf("authdns: keys: no private key with the flag SEP (257) for %s in %s", zone.text(), dir)
	}
	return k, nil
}

func sameOwner(text string, zone name) bool {
	n, err := newName(text)
	return err == nil && n == zone
}

func loadKey(file string) (key, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return key{}, err
	}
	rr, err := dns.NewRR(string(text))
	if err != nil {
		return key{}, err
	}
	record, ok := rr.(*dns.DNSKEY)
	switch {
	case !ok:
		return key{}, errors.New("is not a DNSKEY record")
	case record.Algorithm != dns.ECDSAP256SHA256:
		return key{}, fmt.Errorf("algorithm %d (want 13, ECDSAP256SHA256)", record.Algorithm)
	case record.Flags != flagsZSK && record.Flags != flagsKSK:
		return key{}, fmt.Errorf("flags %d (want 256 or 257)", record.Flags)
	}
	private := strings.TrimSuffix(file, ".key") + ".private"
	info, err := os.Stat(private)
	if errors.Is(err, fs.ErrNotExist) {
		return key{record: record}, nil
	}
	if err != nil {
		return key{}, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return key{}, fmt.Errorf("%s can be read by everyone (want mode 600 or 640)", private)
	}
	f, err := os.Open(private)
	if err != nil {
		return key{}, err
	}
	defer f.Close()
	secret, err := record.ReadPrivateKey(f, private)
	if err != nil {
		return key{}, err
	}
	signer, ok := secret.(crypto.Signer)
	if !ok {
		return key{}, fmt.Errorf("%s holds no key that signs", private)
	}
	return key{record, signer}, checkPair(record, signer)
}

// checkPair reports whether a private key is that of a record: with another,
// every signature would be bogus.
func checkPair(record *dns.DNSKEY, private crypto.Signer) error {
	probe := []dns.RR{record}
	sig := &dns.RRSIG{Algorithm: record.Algorithm, KeyTag: record.KeyTag(), SignerName: record.Hdr.Name}
	if err := sig.Sign(private, probe); err != nil {
		return err
	}
	if sig.Verify(record, probe) != nil {
		return errors.New("the private key is of another key")
	}
	return nil
}

// signers returns the keys that sign sets of a type.
func (k *Keys) signers(t uint16) []key {
	var zsk, ksk []key
	for _, x := range k.all {
		switch {
		case x.private == nil:
		case x.record.Flags&dns.SEP != 0:
			ksk = append(ksk, x)
		default:
			zsk = append(zsk, x)
		}
	}
	switch t {
	case dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY:
		return ksk
	}
	if len(zsk) > 0 {
		return zsk
	}
	return ksk
}

// sets returns the DNSKEY set, and the CDS and CDNSKEY sets by which the
// parent zone follows a rollover (RFC 7344).
func (k *Keys) sets() map[uint16]*set {
	m := map[uint16]*set{dns.TypeDNSKEY: {}, dns.TypeCDS: {}, dns.TypeCDNSKEY: {}}
	add := func(rr dns.RR) { x := m[rr.Header().Rrtype]; x.rrs = append(x.rrs, rr) }
	for _, x := range k.all {
		add(dns.Copy(x.record))
		if x.record.Flags&dns.SEP != 0 {
			add(x.record.ToDS(dns.SHA256).ToCDS())
			add(x.record.ToCDNSKEY())
		}
	}
	return m
}

// DS returns the records, a line each, that the parent zone needs.
func (k *Keys) DS() []string {
	var lines []string
	for _, x := range k.all {
		if x.record.Flags&dns.SEP != 0 {
			lines = append(lines, x.record.ToDS(dns.SHA256).String())
		}
	}
	return lines
}

// GenerateKey makes a key for a zone, and writes its two files into dir. It
// returns their common path, without ".key" and ".private". A key that signs
// keys (ksk) signs everything unless there are others.
func GenerateKey(dir, zoneName string, ksk bool) (path string, err error) {
	zone, err := newName(zoneName)
	if err != nil {
		return "", fmt.Errorf("authdns: keys: %w", err)
	}
	record := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone.text(), Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: keyTTL},
		Flags: flagsZSK, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	if ksk {
		record.Flags = flagsKSK
	}
	private, err := record.Generate(256)
	if err != nil {
		return "", fmt.Errorf("authdns: make a key: %w", err)
	}
	path = filepath.Join(dir, fmt.Sprintf("K%s+013+%05d", zone.text(), record.KeyTag()))
	// The private one first: a key without it would only be published.
	for _, f := range []struct {
		ext, text string
		mode      fs.FileMode
	}{{".private", record.PrivateKeyString(private), 0o600}, {".key", record.String() + "\n", 0o644}} {
		if err := writeNew(path+f.ext, f.text, f.mode); err != nil {
			return "", fmt.Errorf("authdns: write key: %w", err)
		}
	}
	return path, nil
}

// writeNew writes a file that must not be there yet.
func writeNew(path, text string, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
