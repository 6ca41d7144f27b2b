// Command box is the one static program inside the rig's helper image.
//
//	box pause      holds a pod sandbox open (the cluster's pause container)
//	box echo       answers every HTTP request with a JSON description of it
//	box tls        the same over TLS, with TLS_CERT and TLS_KEY or a certificate of its own
//	box grpc       answers unary gRPC calls over cleartext HTTP/2 with the message it got
//	box ext-auth   an external authorization server over HTTP
//	box ext-proc   an external processor over gRPC that marks requests and responses
//	box tokens     an OpenID Connect provider that lets everybody in
//	box files      serves the folder FILES
//
// PORT is the port to listen on, 3000 by default.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

var modes = map[string]func() error{
	"pause":    pause,
	"echo":     func() error { return plain(http.HandlerFunc(echo)) },
	"tls":      func() error { return encrypted(http.HandlerFunc(echo)) },
	"grpc":     func() error { return cleartextHTTP2(http.HandlerFunc(unary)) },
	"ext-auth": func() error { return plain(http.HandlerFunc(authorize)) },
	"ext-proc": func() error { return cleartextHTTP2(http.HandlerFunc(process)) },
	"tokens":   func() error { return plain(http.HandlerFunc(tokens)) },
	"files":    func() error { return plain(files()) },
}

func main() {
	if len(os.Args) == 2 {
		if run, known := modes[os.Args[1]]; known {
			if err := run(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: box pause | echo | tls | grpc | ext-auth | ext-proc | tokens | files")
	os.Exit(2)
}

// pause waits for a stop signal and reaps children, as PID 1 of a sandbox must.
func pause() error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return nil
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
	return nil
}

func server(handler http.Handler) *http.Server {
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	return &http.Server{Addr: ":" + port, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
}

func plain(handler http.Handler) error {
	return server(handler).ListenAndServe()
}

func cleartextHTTP2(handler http.Handler) error {
	s := server(handler)
	s.Protocols = new(http.Protocols)
	s.Protocols.SetUnencryptedHTTP2(true)
	s.Protocols.SetHTTP1(true) // for readiness probes
	return s.ListenAndServe()
}
