/** Drawing on the map: regions to ask about, and lines and areas to measure. Works by mouse, finger and keyboard. */

import type { Coordinate } from 'ol/coordinate'
import { boundingExtent, type Extent } from 'ol/extent'
import Feature from 'ol/Feature'
import LineString from 'ol/geom/LineString'
/** Drawing on the map: regions to ask about, and lines and areas to measure. Works by mouse, finger and keyboard. */
import Polygon, { fromExtent } from 'ol/geom/Polygon'
import Draw, { createBox } from 'ol/interaction/Draw'
import VectorLayer from 'ol/layer/Vector'
import type OlMap from 'ol/Map'
import VectorSource from 'ol/source/Vector'
import { Circle, Fill, Stroke, Style, Text } from 'ol/style'
import type { Frame } from './frame'
import { areaOf, lengthOf } from './measure'

export type Tool = 'pan' | 'box' | 'polygon' | 'point' | 'length' | 'area'
export type AskKind = 'box' | 'polygon' | 'point' | 'view'
export interface AskShape {
  kind: AskKind
  polygon: Polygon
}

const ASK = '#ffffff'
const ASK_LINE = '#0f172a'
const MEASURE = '#fde047'
const POINT_PX = 28
const FONT = '600 12px "Inter Variable", system-ui, sans-serif'

export class Tools {
  tool: Tool = 'pan'
  private frame: Frame | null = null
  private draw: Draw | null = null
  private corners: Coordinate[] = []
  private readonly asked = new VectorSource<Feature>()
  private readonly measured = new VectorSource<Feature>()
  readonly layers = [
    new VectorLayer({
      source: this.asked,
      className: 'asked',
      zIndex: 15,
      style: (feature) => askStyle(feature as Feature),
    }),
    new VectorLayer({
      source: this.measured,
      className: 'measured',
      zIndex: 25,
      style: (feature) => this.measureStyle(feature as Feature),
    }),
  ]

  constructor(
    private readonly map: OlMap,
    private readonly onShape: (shape: AskShape) => void,
    private readonly onTool: (tool: Tool) => void,
    private readonly say: (words: string) => void,
  ) {}

  /** Draw in another frame from now on; what was drawn in the old one goes. */
  reset(frame: Frame | null): void {
    this.frame = frame
    this.measured.clear()
    this.use('pan')
  }

  /** Take up a tool; `pan` lays it down. */
  use(tool: Tool): void {
    if (this.draw) this.map.removeInteraction(this.draw)
    this.draw = null
    this.corners = []
    this.tool = this.frame ? tool : 'pan'
    const target = this.map.getTargetElement()
    if (target) target.dataset.tool = this.tool
    if (this.tool !== 'pan') this.begin(this.tool)
    this.onTool(this.tool)
  }

  /** Show the regions that the next question speaks about. */
  showAsked(shapes: AskShape[]): void {
    this.asked.clear()
    shapes.forEach(({ polygon, kind }, index) => {
      const feature = new Feature(polygon)
      feature.setProperties({ label: `Region ${index + 1}`, kind })
      this.asked.addFeature(feature)
    })
  }

  /** Put away what was measured. */
  clearMeasured(): void {
    this.measured.clear()
  }

  /** Place the next corner where the map's centre is: drawing without a pointer. */
  placeCorner(): void {
    const centre = this.map.getView().getCenter()
    if (!centre || this.tool === 'pan') return
    if (this.tool === 'point') {
      this.finishPoint(centre)
    } else if (this.tool === 'box') {
      this.corners.push(centre)
      if (this.corners.length === 2) this.finishAsk('box', fromExtent(boundingExtent(this.corners)))
      else this.say('First corner placed. Move the map with the arrow keys and press Enter for the opposite corner.')
    } else {
      this.corners.push(centre)
      this.draw?.appendCoordinates([centre])
      this.say(`Corner ${this.corners.length} placed. Press Shift and Enter to finish.`)
    }
  }

  /** Finish what has been drawn by keyboard. */
  finish(): void {
    if (this.corners.length > (this.tool === 'length' ? 1 : 2)) this.draw?.finishDrawing()
  }

  private begin(tool: Exclude<Tool, 'pan'>): void {
    const kinds = { box: 'Circle', polygon: 'Polygon', point: 'Point', length: 'LineString', area: 'Polygon' } as const
    const isMeasure = tool === 'length' || tool === 'area'
    this.draw = new Draw({
      type: kinds[tool],
      ...(tool === 'box' ? { geometryFunction: createBox() } : {}),
      style: (feature) => (isMeasure ? this.measureStyle(feature as Feature) : sketchStyle()),
    })
    this.draw.on('drawend', ({ feature }) => {
      const geometry = feature.getGeometry()
      if (isMeasure) {
        this.measured.addFeature(feature)
        this.say(`Measured: ${this.words(feature)}.`)
        setTimeout(() => this.use('pan'))
      } else if (tool === 'point') {
        this.finishPoint(geometry?.getExtent().slice(0, 2) as Coordinate)
      } else {
        this.finishAsk(tool, geometry as Polygon)
      }
    })
    this.map.addInteraction(this.draw)
  }

  private finishPoint(at: Coordinate): void {
    const half = ((this.map.getView().getResolution() ?? 1) * POINT_PX) / 2
    const [x = 0, y = 0] = at
    this.finishAsk('point', fromExtent([x - half, y - half, x + half, y + half]))
  }

  private finishAsk(kind: AskKind, drawn: Polygon): void {
    const polygon = this.frame ? inside(drawn, kind, this.frame.extent) : null
    setTimeout(() => this.use('pan'))
    if (polygon) this.onShape({ kind, polygon })
    else this.say('That region lies outside the image: draw it on the image.')
  }

  private words(feature: Feature): string {
    const geometry = feature.getGeometry()
    const onMap = this.frame?.onMap ?? false
    if (geometry instanceof LineString) return lengthOf(geometry.getCoordinates(), onMap)
    if (geometry instanceof Polygon) return areaOf(geometry.getCoordinates()[0] ?? [], onMap)
    return ''
  }

  private measureStyle(feature: Feature): Style[] {
    const words = this.words(feature)
    return [
      new Style({ stroke: new Stroke({ color: '#0f172acc', width: 5 }), fill: new Fill({ color: '#fde04722' }) }),
      new Style({
        stroke: new Stroke({ color: MEASURE, width: 2.5 }),
        image: new Circle({
          radius: 5,
          fill: new Fill({ color: MEASURE }),
          stroke: new Stroke({ color: '#0f172a', width: 1.5 }),
        }),
        ...(words ? { text: tag(words, MEASURE) } : {}),
      }),
    ]
  }
}

/** Cut a box to the image; give any other shape as it is, or null where it lies outside. */
function inside(drawn: Polygon, kind: AskKind, extent: Extent): Polygon | null {
  if (!drawn.intersectsExtent(extent)) return null
  if (kind === 'polygon') return drawn
  const [left = 0, bottom = 0, right = 0, top = 0] = drawn.getExtent()
  const [least = 0, low = 0, most = 0, high = 0] = extent
  const cut = [Math.max(left, least), Math.max(bottom, low), Math.min(right, most), Math.min(top, high)]
  return (cut[2] ?? 0) > (cut[0] ?? 0) && (cut[3] ?? 0) > (cut[1] ?? 0) ? fromExtent(cut) : null
}

function tag(words: string, colour: string): Text {
  return new Text({
    text: words,
    font: FONT,
    overflow: true,
    fill: new Fill({ color: '#101716' }),
    backgroundFill: new Fill({ color: colour }),
    padding: [3, 6, 2, 6],
  })
}

function askStyle(feature: Feature): Style[] {
  return [
    new Style({ stroke: new Stroke({ color: ASK_LINE, width: 4.5 }), fill: new Fill({ color: '#ffffff1f' }) }),
    new Style({
      stroke: new Stroke({ color: ASK, width: 2, lineDash: [7, 5] }),
      text: new Text({
        text: String(feature.get('label')),
        font: FONT,
        overflow: true,
        fill: new Fill({ color: ASK }),
        stroke: new Stroke({ color: ASK_LINE, width: 3.5 }),
      }),
    }),
  ]
}

function sketchStyle(): Style[] {
  return [
    new Style({ stroke: new Stroke({ color: ASK_LINE, width: 4.5 }), fill: new Fill({ color: '#ffffff2e' }) }),
    new Style({
      stroke: new Stroke({ color: ASK, width: 2, lineDash: [7, 5] }),
      image: new Circle({
        radius: 5,
        fill: new Fill({ color: ASK }),
        stroke: new Stroke({ color: ASK_LINE, width: 2 }),
      }),
    }),
  ]
}
