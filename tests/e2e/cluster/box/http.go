package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net/http"
	"os"
	"strconv"
	"time"
)

// echo describes the request. Two query parameters stage failures: ?status=503 sets the answer's
// status and ?delay=2s holds it back.
func echo(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if d, err := time.ParseDuration(query.Get("delay")); err == nil {
		time.Sleep(d)
	}
	status := http.StatusOK
	if s, err := strconv.Atoi(query.Get("status")); err == nil && s >= 200 && s < 600 {
		status = s
	}
	serverName := ""
	if r.TLS != nil {
		serverName = r.TLS.ServerName
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"host": r.Host, "method": r.Method, "path": r.URL.Path, "proto": r.Proto,
		"headers": r.Header, "pod": os.Getenv("POD_NAME"), "service": os.Getenv("SERVICE"),
		"tls": r.TLS != nil, "sni": serverName,
	})
}

// encrypted serves TLS with the mounted certificate, or with one that it signs itself.
func encrypted(handler http.Handler) error {
	s := server(handler)
	if cert := os.Getenv("TLS_CERT"); cert != "" {
		return s.ListenAndServeTLS(cert, os.Getenv("TLS_KEY"))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	name := os.Getenv("TLS_NAME")
	if name == "" {
		name = "localhost"
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(0, 1, 0),
		DNSNames:     []string{name},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{{
		Certificate: [][]byte{signed}, PrivateKey: key,
	}}}
	return s.ListenAndServeTLS("", "")
}

// authorize lets a request with `x-allow: yes` pass and refuses every other one.
func authorize(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ready" || r.Header.Get("x-allow") == "yes" {
		w.Header().Set("x-authorized-by", "box")
		return
	}
	http.Error(w, "refused by ext-auth", http.StatusForbidden)
}
