//go:build !linux

package resets

import (
	"errors"

	"catchment/internal/edge"
)

var errNotLinux = errors.New("only Linux is supported")

func openSource(edge.ResetMethod, *Config) (source, error) { return nil, errNotLinux }
func openFlowLister() (openFlows, error)                   { return nil, errNotLinux }
