package tokens

import (
	"context"
	"net/http"
)

type identityKey struct{}

type identity struct {
	role Role
	id   string
}

// As returns the request of somebody who has been identified by other means
// than a bearer token: Identify says so from then on. Nothing that comes with a
// request can have that effect.
func As(r *http.Request, role Role, id string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), identityKey{}, identity{role, id}))
}

func identified(r *http.Request) (role Role, id string, ok bool) {
	x, ok := r.Context().Value(identityKey{}).(identity)
	return x.role, x.id, ok
}
