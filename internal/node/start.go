package node

import "context"

// Start runs s at once, for a process that has to wait for something before it
// can run as a whole, and returns a service that stands for it in Run. Close
// it if it never comes to that.
func Start(s Service) *Started {
	ctx, cancel := context.WithCancel(context.Background())
	started := &Started{cancel: cancel, exited: make(chan struct{})}
	go func() {
		defer close(started.exited)
		started.err = s.Run(ctx)
	}()
	return started
}

// Started is a service that runs already.
type Started struct {
	cancel context.CancelFunc
	exited chan struct{}
	err    error // once exited is closed
}

// Run waits for the service, and stops it when ctx is done.
func (s *Started) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.cancel)()
	<-s.exited
	return s.err
}

// Close stops the service.
func (s *Started) Close() error {
	s.cancel()
	<-s.exited
	return s.err
}
