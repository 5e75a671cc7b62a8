package store

// Healthy returns why beacons cannot be stored: ErrDisk, or what broke the
// log. It is for health checks; Append returns the same errors.
func (s *Store) Healthy() error {
	if err := s.failure(); err != nil {
		return err
	}
	if s.disk.low(s.now()) {
		return ErrDisk
	}
	return nil
}
