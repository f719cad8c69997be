/** The map: one raster or two dates, the regions of an answer on top, and the tools that draw on it. */

import ScaleLine from 'ol/control/ScaleLine'
import type { Extent } from 'ol/extent'
import { defaults as defaultInteractions } from 'ol/interaction/defaults'
import OlMap from 'ol/Map'
import { toLonLat } from 'ol/proj'
import View from 'ol/View'
import { lonLatWords } from '../page/units'
import type { Answer, Question, TileSet } from '../server/records'
import type { Server } from '../server/server'
import { type Frame, frameOf } from './frame'
import { landLayer } from './land'
import { Shapes } from './shapes'
import { Swipe } from './swipe'
import { type RasterLayer, rasterLayer } from './tiles'
import { type AskShape, type Tool, Tools } from './tools'

const OVERZOOM = 4
const FIT_MS = 250
const PADDING = [28, 28, 44, 76]

export interface StageParts {
  map: HTMLElement
  bar: HTMLElement
  scale: HTMLElement
  position: HTMLElement
}

export interface StageEvents {
  /** A region under the pointer, or none. */
  onPoint: (number: number | null) => void
  /** A region that was clicked. */
  onPick: (number: number) => void
  onShape: (shape: AskShape) => void
  onTool: (tool: Tool) => void
  onFault: (error: unknown) => void
  say: (words: string) => void
}

export class Stage {
  readonly tools: Tools
  private readonly map: OlMap
  private readonly shapes = new Shapes()
  private readonly land = landLayer()
  private readonly swipe: Swipe
  private layers: RasterLayer[] = []
  private frame: Frame | null = null

  constructor(
    private readonly parts: StageParts,
    private readonly server: Server,
    private readonly events: StageEvents,
  ) {
    const quick = matchMedia('(prefers-reduced-motion: reduce)').matches
    this.map = new OlMap({
      target: parts.map,
      layers: [this.land],
      view: wholeWorld(),
      controls: [new ScaleLine({ target: parts.scale, minWidth: 80 })],
      interactions: defaultInteractions({
        altShiftDragRotate: false,
        pinchRotate: false,
        zoomDuration: quick ? 0 : FIT_MS,
      }),
    })
    this.swipe = new Swipe(parts.bar, parts.map, () => this.map.render())
    this.tools = new Tools(this.map, events.onShape, events.onTool, events.say)
    for (const layer of [this.shapes.layer, ...this.tools.layers]) this.map.addLayer(layer)
    this.map.on('pointermove', ({ dragging, pixel, coordinate }) => {
      if (dragging) return
      this.tell(coordinate)
      const number = this.numberAt(pixel)
      this.shapes.light(number)
      this.parts.map.classList.toggle('over-region', number !== null && this.tools.tool === 'pan')
      events.onPoint(number)
    })
    this.map.on('loadstart', () => this.setBusy(true))
    this.map.on('rendercomplete', () => this.setBusy(false))
    this.map.on('click', ({ pixel }) => {
      const number = this.tools.tool === 'pan' ? this.numberAt(pixel) : null
      if (number !== null) events.onPick(number)
    })
    parts.map.addEventListener('pointerleave', () => this.leave())
    parts.map.addEventListener('keydown', (event) => this.press(event))
  }

  get current(): Frame | null {
    return this.frame
  }

  /** Show one raster or two dates in some bands; the view stays where the frame stays (`keep`). */
  show(sets: TileSet[], bands: string | null, keep = false): void {
    for (const layer of this.layers) this.map.removeLayer(layer)
    this.layers = []
    this.swipe.use(null)
    this.shapes.show(null, null)
    this.frame = sets.length ? frameOf(sets) : null
    this.tools.reset(this.frame)
    this.land.setVisible(this.frame?.onMap ?? true)
    this.parts.scale.hidden = !this.frame?.onMap
    this.parts.position.textContent = ''
    const frame = this.frame
    if (!frame) {
      this.map.setView(wholeWorld())
      return
    }
    this.setBusy(true)
    let told = false
    const fault = (error: unknown) => {
      if (!told) this.events.onFault(error)
      told = true
    }
    this.layers = sets.map((tiles) => rasterLayer(tiles, frame, this.server, bands, fault))
    this.layers.forEach((layer, index) => {
      layer.setZIndex(index + 1)
      this.map.addLayer(layer)
    })
    this.swipe.use(this.layers[1] ?? null)
    if (!keep) this.enter(frame, sets)
  }

  /** Show the regions of an answer, or none. */
  showAnswer(answer: Answer | null): void {
    this.shapes.show(answer, this.frame)
  }

  /** Light a region up. */
  light(number: number | null): void {
    this.shapes.light(number)
  }

  /** Go to a region, or to all rasters. */
  fit(number?: number): void {
    const extent = number === undefined ? this.frame?.extent : this.shapes.extentOf(number)
    if (extent) this.go(number === undefined ? extent : withRoom(extent))
  }

  zoom(by: number): void {
    const view = this.map.getView()
    view.animate({ zoom: (view.getZoom() ?? 0) + by, duration: 150 })
  }

  /** Give what the map shows: the options that ask about it alone. */
  view(): Question['options'] | null {
    return this.frame?.view(this.extent) ?? null
  }

  get extent(): Extent {
    return this.map.getView().calculateExtent(this.map.getSize())
  }

  /** Follow a change of size or theme. */
  refresh(): void {
    this.map.updateSize()
    this.land.changed()
  }

  /** Draw what the map shows as a PNG. */
  picture(): Promise<Blob | null> {
    return new Promise((resolve) => {
      this.map.once('rendercomplete', () =>
        compose(this.parts.map, this.map.getSize() as [number, number]).toBlob(resolve),
      )
      this.map.renderSync()
    })
  }

  private enter(frame: Frame, sets: TileSet[]): void {
    const finest = Math.min(...sets.map((tiles) => frame.layout(tiles).grid.getResolution(tiles.maxzoom)))
    const minResolution = finest / 2 ** OVERZOOM
    const bounded = frame.onMap
      ? {}
      : { maxResolution: finest * 2 ** 20, constrainOnlyCenter: true, extent: frame.extent }
    this.map.setView(
      new View({ projection: frame.projection, center: [0, 0], resolution: 1, minResolution, ...bounded }),
    )
    this.map.getView().fit(frame.extent, { padding: PADDING })
  }

  private go(extent: Extent): void {
    const duration = matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : FIT_MS
    this.map.getView().fit(extent, { padding: PADDING, duration })
  }

  private numberAt(pixel: number[]): number | null {
    const found = this.map.forEachFeatureAtPixel(pixel, (feature) => feature.get('number') as number | undefined, {
      layerFilter: (layer) => layer === this.shapes.layer,
      hitTolerance: 4,
    })
    return found ?? null
  }

  /** Say whether tiles are still to come. */
  private setBusy(busy: boolean): void {
    this.parts.map.setAttribute('aria-busy', String(busy))
  }

  private tell([x = 0, y = 0]: number[]): void {
    if (!this.frame) return
    const [lon = 0, lat = 0] = this.frame.onMap ? toLonLat([x, y]) : []
    this.parts.position.textContent = this.frame.onMap
      ? lonLatWords(lon, lat)
      : `x ${Math.floor(x)}  y ${Math.floor(-y)} px`
  }

  private leave(): void {
    this.parts.position.textContent = ''
    this.shapes.light(null)
    this.events.onPoint(null)
  }

  private press(event: KeyboardEvent): void {
    if (event.key !== 'Enter' || this.tools.tool === 'pan') return
    event.preventDefault()
    if (event.shiftKey) this.tools.finish()
    else this.tools.placeCorner()
  }
}

function wholeWorld(): View {
  return new View({ center: [0, 2e6], zoom: 1.6 })
}

function withRoom([left = 0, bottom = 0, right = 0, top = 0]: Extent): Extent {
  const room = Math.max(right - left, top - bottom) * 0.75
  return [left - room, bottom - room, right + room, top + room]
}

/** Lay the canvases of a map over each other, as the page does. */
function compose(element: HTMLElement, [width, height]: [number, number]): HTMLCanvasElement {
  const scale = window.devicePixelRatio
  const canvas = document.createElement('canvas')
  canvas.width = width * scale
  canvas.height = height * scale
  const context = canvas.getContext('2d') as CanvasRenderingContext2D
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--map')
  context.fillRect(0, 0, canvas.width, canvas.height)
  for (const layer of element.querySelectorAll<HTMLCanvasElement>('.ol-layers canvas')) {
    if (!layer.width) continue
    const matrix = layer.style.transform
      .match(/^matrix\(([^)]*)\)$/)?.[1]
      ?.split(',')
      .map(Number)
    const [a = 1, b = 0, c = 0, d = 1, e = 0, f = 0] = matrix ?? []
    context.setTransform(a * scale, b * scale, c * scale, d * scale, e * scale, f * scale)
    context.globalAlpha = Number(layer.parentElement?.style.opacity || 1)
    context.drawImage(layer, 0, 0)
  }
  return canvas
}
