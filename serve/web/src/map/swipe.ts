/** Two dates, one over the other, with a bar between them that moves by mouse, finger and arrow keys. */
import { getRenderPixel } from 'ol/render'
import type RenderEvent from 'ol/render/Event'
import type { RasterLayer } from './tiles'

const STEP = 0.02

export class Swipe {
  private share = 0.5
  private layer: RasterLayer | null = null

  constructor(
    private readonly bar: HTMLElement,
    private readonly stage: HTMLElement,
    private readonly redraw: () => void,
  ) {
    bar.addEventListener('pointerdown', (event) => this.grab(event))
    bar.addEventListener('keydown', (event) => this.press(event))
  }

  /** Let a layer show right of the bar only; null puts the bar away. */
  use(layer: RasterLayer | null): void {
    this.layer = layer
    this.bar.hidden = !layer
    layer?.on('prerender', (event) => this.clip(event))
    layer?.on('postrender', (event) => (event.context as CanvasRenderingContext2D).restore())
    this.move(0.5)
  }

  private move(share: number): void {
    this.share = Math.min(1, Math.max(0, share))
    this.bar.style.left = `${this.share * 100}%`
    this.bar.setAttribute('aria-valuenow', String(Math.round(this.share * 100)))
    this.redraw()
  }

  private clip(event: RenderEvent): void {
    const context = event.context as CanvasRenderingContext2D
    const { clientWidth: width, clientHeight: height } = this.stage
    const left = width * this.share
    const corners = [
      [left, 0],
      [width, 0],
      [width, height],
      [left, height],
    ].map((at) => getRenderPixel(event, at))
    context.save()
    context.beginPath()
    for (const [index, [x = 0, y = 0]] of corners.entries()) {
      if (index) context.lineTo(x, y)
      else context.moveTo(x, y)
    }
    context.closePath()
    context.clip()
  }

  private grab(event: PointerEvent): void {
    if (!this.layer) return
    event.preventDefault()
    this.bar.focus()
    this.bar.setPointerCapture(event.pointerId)
    const follow = (moved: PointerEvent) => {
      const box = this.stage.getBoundingClientRect()
      this.move((moved.clientX - box.left) / box.width)
    }
    const end = () => {
      this.bar.removeEventListener('pointermove', follow)
      this.bar.removeEventListener('pointerup', end)
      this.bar.removeEventListener('pointercancel', end)
    }
    this.bar.addEventListener('pointermove', follow)
    this.bar.addEventListener('pointerup', end)
    this.bar.addEventListener('pointercancel', end)
  }

  private press(event: KeyboardEvent): void {
    const steps: Record<string, number> = {
      ArrowLeft: this.share - STEP,
      ArrowRight: this.share + STEP,
      Home: 0,
      End: 1,
      PageUp: this.share + 0.1,
      PageDown: this.share - 0.1,
    }
    const to = steps[event.key]
    if (to === undefined) return
    event.preventDefault()
    event.stopPropagation()
    this.move(to)
  }
}
