package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"catchment/internal/edge"
	"catchment/internal/fleet"
	"catchment/internal/node"
)

// reloadFleet is a service that reads the fleet file again on SIGHUP and hands
// it to use. A file with mistakes, or one that use refuses, changes nothing.
func reloadFleet(file string, log *slog.Logger, use func(*edge.Fleet) error) node.Service {
	return node.Func(func(ctx context.Context) error {
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		defer signal.Stop(hup)
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-hup:
			}
			world, err := fleet.Load(file)
			if err == nil {
				err = use(world)
			}
			if err != nil {
				log.Error("fleet file not reloaded, the former one stays", "error", err)
				continue
			}
			log.Info("fleet file reloaded", "pops", len(world.PoPs))
		}
	})
}
