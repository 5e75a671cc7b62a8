package runner

import "context"

// Deliver sends n messages to the webhook.
func (r *Runner) Deliver(ctx context.Context, n int) error {
	for range n {
		m := <-r.hook.queue
		if err := r.hook.send(ctx, &m); err != nil {
			return err
		}
	}
	return nil
}
