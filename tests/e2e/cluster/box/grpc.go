package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
)

const maxMessage = 4 << 20

// readFrame returns the next message of a gRPC stream.
func readFrame(r io.Reader) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if head[0] != 0 || length > maxMessage {
		return nil, errors.New("compressed or oversized message")
	}
	message := make([]byte, length)
	_, err := io.ReadFull(r, message)
	return message, err
}

func writeFrame(w http.ResponseWriter, message []byte) error {
	head := make([]byte, 5, 5+len(message))
	binary.BigEndian.PutUint32(head[1:], uint32(len(message)))
	if _, err := w.Write(append(head, message...)); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}

// openStream answers probes itself and reports whether a gRPC stream follows.
func openStream(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		return false // 200: a readiness probe
	}
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	return true
}

// unary answers grpc.health.v1.Health/Check with SERVING and any other call with its own message.
func unary(w http.ResponseWriter, r *http.Request) {
	if !openStream(w, r) {
		return
	}
	message, err := readFrame(r.Body)
	if err != nil {
		w.Header().Set("Grpc-Status", "3") // INVALID_ARGUMENT
		return
	}
	if r.URL.Path == "/grpc.health.v1.Health/Check" {
		message = []byte{0x08, 0x01}
	}
	_ = writeFrame(w, message)
	w.Header().Set("Grpc-Status", "0")
}

// field encodes a length-delimited protobuf field.
func field(number byte, value []byte) []byte {
	out := []byte{number<<3 | 2}
	out = binary.AppendUvarint(out, uint64(len(value)))
	return append(out, value...)
}

// oneof returns the number of the request's phase: the one message field of ProcessingRequest that
// is set, 2 (request headers) to 7 (response trailers).
func oneof(message []byte) int {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			return 0
		}
		message = message[n:]
		number, value := int(tag>>3), uint64(0)
		value, n = binary.Uvarint(message)
		if n <= 0 {
			return 0
		}
		message = message[n:]
		if tag&7 == 2 {
			if number >= 2 && number <= 7 {
				return number
			}
			if value > uint64(len(message)) {
				return 0
			}
			message = message[value:]
		}
	}
	return 0
}

// process answers each phase of envoy.service.ext_proc.v3.ExternalProcessor/Process: it adds the
// header x-ext-proc to requests and responses and lets all else pass. The messages are few and
// small, so they are encoded here instead of pulling in Envoy's API module.
func process(w http.ResponseWriter, r *http.Request) {
	if !openStream(w, r) {
		return
	}
	if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
	header := append(field(1, []byte("x-ext-proc")), field(3, []byte("box"))...)
	mutation := field(1, field(1, header))  // HeaderMutation.set_headers[].header
	headers := field(1, field(2, mutation)) // HeadersResponse.response.header_mutation
	for {
		message, err := readFrame(r.Body)
		if err != nil {
			w.Header().Set("Grpc-Status", "0")
			return
		}
		phase := oneof(message)
		answer := []byte{}
		switch phase {
		case 2, 3: // request and response headers
			answer = headers
		case 0:
			w.Header().Set("Grpc-Status", "3")
			return
		}
		// ProcessingResponse numbers the phases from 1 where the request does from 2
		if err := writeFrame(w, field(byte(phase-1), answer)); err != nil {
			return
		}
	}
}
