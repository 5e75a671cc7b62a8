package pop

import "crypto/tls"

// tlsConfig returns the configuration of the listeners with TLS.
//
// Names at or under the fleet's probe name get http/1.1 only: over HTTP/2 a
// browser would use one connection for every name that the certificate covers
// and that resolves to the same address, and measure the wrong PoP. Other names
// may negotiate h2.
func (s *Server) tlsConfig() *tls.Config {
	config := func(protocols ...string) *tls.Config {
		return &tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     protocols,
			GetCertificate: s.certs.Get,
			// Otherwise the first records are as small as a packet, and /big
			// would begin with packets that pass where full-size ones do not.
			DynamicRecordSizingDisabled: true,
		}
	}
	probe, other := config("http/1.1"), config("h2", "http/1.1")
	other.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if s.names.Load().isProbe(hello.ServerName) {
			return probe, nil
		}
		return nil, nil // this same configuration
	}
	return other
}
