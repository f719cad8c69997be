/** On a phone the panes lie in a sheet over the map, which is pulled up and down, and one of them shows at a time. */
import { find } from './dom'

export type Pane = 'chat' | 'images'
const STOPS = [0.14, 0.5, 0.9]
const LEAST_MOVE_PX = 8

export class Sheet {
  private readonly handle = find('#handle')
  private share = 0.5

  constructor(private readonly moved: () => void) {
    this.handle.addEventListener('pointerdown', (event) => this.grab(event))
    this.handle.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowUp') this.step(1)
      if (event.key === 'ArrowDown') this.step(-1)
    })
    for (const pane of ['chat', 'images'] as const) {
      find(`#tab-${pane}`).addEventListener('click', () => this.open(pane))
    }
    this.open('chat')
    this.set(0.5)
  }

  /** Show a pane, and pull the sheet up where it lies low. */
  open(pane: Pane): void {
    document.body.dataset.pane = pane
    for (const each of ['chat', 'images']) find(`#tab-${each}`).setAttribute('aria-pressed', String(each === pane))
    if (this.share < 0.3) this.set(0.5)
  }

  /** Pull the sheet down, so that the map can be seen. */
  lower(): void {
    this.set(STOPS[1] as number)
  }

  private step(by: number): void {
    const at = STOPS.findIndex((stop) => Math.abs(stop - this.share) < 0.01)
    this.set(STOPS[Math.min(STOPS.length - 1, Math.max(0, at + by))] as number)
  }

  private set(share: number): void {
    this.share = share
    document.documentElement.style.setProperty('--sheet', `${share * 100}dvh`)
    this.handle.setAttribute('aria-valuenow', String(Math.round(share * 100)))
    this.moved()
  }

  private grab(event: PointerEvent): void {
    this.handle.setPointerCapture(event.pointerId)
    const from = event.clientY
    const follow = (moved: PointerEvent) =>
      this.set(Math.min(0.95, Math.max(0.1, 1 - moved.clientY / window.innerHeight)))
    const end = (last: PointerEvent) => {
      this.handle.removeEventListener('pointermove', follow)
      this.handle.removeEventListener('pointerup', end)
      this.handle.removeEventListener('pointercancel', end)
      if (Math.abs(last.clientY - from) < LEAST_MOVE_PX) {
        this.set(this.share > 0.3 ? (STOPS[0] as number) : (STOPS[1] as number))
        return
      }
      const nearest = [...STOPS].sort((a, b) => Math.abs(a - this.share) - Math.abs(b - this.share))[0]
      this.set(nearest as number)
    }
    this.handle.addEventListener('pointermove', follow)
    this.handle.addEventListener('pointerup', end)
    this.handle.addEventListener('pointercancel', end)
  }
}
