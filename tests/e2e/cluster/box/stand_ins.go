package main

import (
	"encoding/json"
	"net/http"
	"os"
)

const refreshToken = "box-refresh"

// tokens is an OpenID Connect provider that lets everybody in: whatever code it is shown, it hands
// out tokens for a day. Their content is nobody's concern here: Envoy keeps them in cookies. But it
// renews them only for the refresh token that it gave.
func tokens(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/token" {
		return // 200: a readiness probe
	}
	w.Header().Set("Content-Type", "application/json")
	if r.FormValue("grant_type") == "refresh_token" && r.FormValue("refresh_token") != refreshToken {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": "invalid_grant"})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": "box-access", "id_token": "e30.e30.box", "refresh_token": refreshToken,
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
