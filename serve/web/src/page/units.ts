/** Quantities in words, as the command line writes them. */

const NUMBER = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

function fixed(value: number, decimals: number): string {
  return new Intl.NumberFormat('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(value)
}

/** Write an area: m², ha from one hectare on, km² from one square kilometre on. */
export function areaWords(m2: number): string {
  if (m2 >= 1e6) return `${fixed(m2 / 1e6, 2)} km²`
  if (m2 >= 1e4) return `${fixed(m2 / 1e4, 2)} ha`
  return `${fixed(m2, m2 < 100 ? 1 : 0)} m²`
}

/** Write a length: m, or km from ten kilometres on. */
export function lengthWords(m: number): string {
  if (m >= 1e4) return `${fixed(m / 1e3, 1)} km`
  return `${fixed(m, m < 100 ? 1 : 0)} m`
}

/** Write a count with separators. */
export function countWords(count: number): string {
  return NUMBER.format(count)
}

/** Write an amount of bytes. */
export function byteWords(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1)
  return `${fixed(bytes / 1000 ** power, power > 1 ? 1 : 0)} ${units[power] ?? 'B'}`
}

/** Write a position; five decimals are about a metre. */
export function lonLatWords(lon: number, lat: number): string {
  const turned = ((((lon + 180) % 360) + 360) % 360) - 180
  return `${Math.abs(lat).toFixed(5)}° ${lat < 0 ? 'S' : 'N'}  ${Math.abs(turned).toFixed(5)}° ${turned < 0 ? 'W' : 'E'}`
}

/** Write how long ago a moment was. */
export function agoWords(moment: number, now: number): string {
  const minutes = Math.round((now - moment) / 60_000)
  if (minutes < 1) return 'just now'
  if (minutes < 60) return `${minutes} min ago`
  if (minutes < 48 * 60) return `${Math.round(minutes / 60)} h ago`
  return `${Math.round(minutes / 1440)} days ago`
}

/** Make a sentence of a server's words: a capital at its head, unless a file is named there, a full stop at its end. */
export function sentence(words: string): string {
  const trimmed = words.trim()
  const ended = /[.!?…]$/.test(trimmed) ? trimmed : `${trimmed}.`
  const isName = /^\S+\.\w{2,4}\b/.test(ended)
  return isName ? ended : ended.charAt(0).toUpperCase() + ended.slice(1)
}
