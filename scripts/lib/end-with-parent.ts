// Preloaded into the first process of a group of its own, whose stdin is a pipe that its parent holds open and never
// writes to: the pipe's end is the parent's, however that came, and then the whole group is asked to end.
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  process.stdin.once('end', () => process.kill(0, 'SIGTERM')).resume();
}
