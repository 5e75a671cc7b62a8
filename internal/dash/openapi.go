package dash

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"

	"go.yaml.in/yaml/v4"
)

//go:embed openapi.yaml
var openapiYAML []byte

// openapiJSON is the contract as JSON.
func openapiJSON() ([]byte, error) {
	var v any
	if err := yaml.Unmarshal(openapiYAML, &v); err != nil {
		return nil, fmt.Errorf("dash: openapi.yaml: %w", err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("dash: openapi.yaml: %w", err)
	}
	return text, nil
}

func (d *Dash) getOpenAPI(w http.ResponseWriter, r *http.Request) {
	jsonHeader(w.Header())
	send(w, r, d.openapi)
}
