import { defineConfig } from 'vite'

/** Where `npm run dev` finds the API: a `nadir serve` on its usual port. */
const api = 'http://127.0.0.1:8000'

export default defineConfig({
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
    rolldownOptions: { input: { page: 'index.html', docs: 'docs.html' } },
  },
  server: { proxy: { '/v1': api, '/tiles': api, '/health': api, '/openapi.json': api } },
})
