/** Colours of regions: those of the reports and pictures that the command line writes (vlm/overlay.py). */
export const PALETTE = ['#ff5a5f', '#2dd4bf', '#fbbf24', '#a78bfa', '#60a5fa', '#a3e635', '#f472b6', '#fb923c'] as const

/** Give each region its colour; regions with the same phrase share one. */
export function coloursOf(phrases: string[]): string[] {
  const distinct = [...new Set(phrases)]
  return phrases.map((phrase) => PALETTE[distinct.indexOf(phrase) % PALETTE.length] ?? PALETTE[0])
}

/** Give a colour some transparency: #rrggbb and 0 to 1. */
export function faded(colour: string, alpha: number): string {
  return `${colour}${Math.round(alpha * 255)
    .toString(16)
    .padStart(2, '0')}`
}
