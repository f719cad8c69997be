declare module 'swagger-ui-dist/swagger-ui-es-bundle.js' {
  export default function SwaggerUI(options: Record<string, unknown>): void
}

declare module 'world-atlas/land-110m.json' {
  import type { Topology } from 'topojson-specification'

  const topology: Topology
  export default topology
}
