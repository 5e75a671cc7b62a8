package pop

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"
)

// renewBefore is the time left from which an expiry is worth a word: enough to
// find out why nothing has renewed the certificate.
const renewBefore = 14 * 24 * time.Hour

// judgeCertificate verifies the certificate for the URL's name, as a browser
// would.
func (c *checker) judgeCertificate() {
	if c.cold.TLS == nil || len(c.cold.TLS.PeerCertificates) == 0 {
		return
	}
	chain := c.cold.TLS.PeerCertificates
	leaf := chain[0]
	host := c.url.Hostname()
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: c.RootCAs, Intermediates: between, DNSName: host})
	var (
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
	)
	const rule = "certificate"
	left := time.Until(leaf.NotAfter)
	switch {
	case errors.As(err, &name):
		c.wrong(rule, "use a certificate that covers the name; for probe names, a wildcard", "the certificate is for %s, not for %s", show(leaf.DNSNames), host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && left < 0:
		c.wrong(rule, "renew it", "the certificate expired on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		c.wrong(rule, "check the clocks", "the certificate is not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case errors.As(err, &unknown):
		c.wrong(rule, "send the whole chain, of an authority that browsers trust", "the certificate's issuer (%.80q) is not trusted, or a certificate between is missing", leaf.Issuer.String())
	case err != nil:
		c.wrong(rule, "replace it", "the certificate does not verify: %v", err)
	case left < renewBefore:
		c.advise(rule, "renew it", "the certificate expires on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	if !c.probe {
		return
	}
	others := slices.DeleteFunc(slices.Clone(leaf.DNSNames), func(n string) bool {
		return underProbe(strings.TrimPrefix(n, "*."), canonical(c.Fleet.Probe))
	})
	if len(others) > 0 {
		c.advise("certificate-names", "use a certificate of their own for probe names", "the certificate also covers %s: if they are served over HTTP/2 from the same address, browsers send probes over that connection", show(others))
	}
}
