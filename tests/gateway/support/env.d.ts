import type { EdgeControl } from './edge-stand-in.ts';

declare global {
  namespace Cloudflare {
    interface Env {
      /** The tests' side of the edge runner's stand-in. */
      EDGE_CONTROL: Service<typeof EdgeControl>;
    }
  }
}
