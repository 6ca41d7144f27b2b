package main

import (
	"encoding/json"
	"net/http"
	"os"
)

// tokens is an OpenID Connect provider that lets everybody in: whatever code it is shown, it hands
// out tokens for a day. Their content is nobody's concern here: Envoy keeps them in cookies.
func tokens(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/token" {
		return // 200: a readiness probe
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": "box-access", "id_token": "e30.e30.box", "refresh_token": "box-refresh",
		"token_type": "Bearer", "expires_in": 86400,
	})
}

// files serves the folder FILES, and 200 for a readiness probe.
func files() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(os.Getenv("FILES"))))
	mux.HandleFunc("/ready", func(http.ResponseWriter, *http.Request) {})
	return mux
}
