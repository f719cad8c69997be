/** The regions of an answer on the map: outlines with labels, one of them lit when it is pointed at. */

import { type Extent, getTopLeft } from 'ol/extent'
import Feature from 'ol/Feature'
import type Geometry from 'ol/geom/Geometry'
import Point from 'ol/geom/Point'
import VectorLayer from 'ol/layer/Vector'
import VectorSource from 'ol/source/Vector'
import { Fill, Stroke, Style, Text } from 'ol/style'
import type { Answer } from '../server/records'
import type { Frame } from './frame'
import { coloursOf, faded } from './palette'

const MOST_LABELS = 60
const LONGEST_LABEL = 28
const FONT = '600 12px "Inter Variable", system-ui, sans-serif'

interface Drawn {
  number: number
  label: string
  colour: string
  filled: boolean
  labelled: boolean
}

export class Shapes {
  private readonly source = new VectorSource()
  readonly layer = new VectorLayer({
    source: this.source,
    className: 'shapes',
    declutter: false,
    zIndex: 20,
    style: (feature) => this.styleOf(feature as Feature),
  })
  private lit: number | null = null

  /** Show the regions of an answer, numbered from 1, or none. */
  show(answer: Answer | null, frame: Frame | null): void {
    this.source.clear()
    this.lit = null
    if (!answer || !frame) return
    const colours = coloursOf(answer.regions.map((region) => region.phrase))
    answer.geojson.features.forEach((given, index) => {
      const region = answer.regions[index]
      if (!given.geometry || !region) return
      const feature = new Feature(frame.place(given.geometry))
      feature.setProperties({
        number: region.number,
        label: shortened(region.phrase),
        colour: colours[index],
        filled: ['mask', 'polygon'].includes(region.geometry_px.kind),
        labelled: answer.regions.length <= MOST_LABELS,
      })
      feature.setId(region.number)
      this.source.addFeature(feature)
    })
  }

  /** Light one region up, and no other. */
  light(number: number | null): void {
    if (number === this.lit) return
    this.lit = number
    this.layer.changed()
  }

  /** Give what a region covers, or all of them. */
  extentOf(number?: number): Extent | null {
    if (number === undefined) return this.source.isEmpty() ? null : (this.source.getExtent() as Extent)
    return this.source.getFeatureById(number)?.getGeometry()?.getExtent() ?? null
  }

  private styleOf(feature: Feature): Style[] {
    const { number, label, colour, filled, labelled } = feature.getProperties() as Drawn
    const lit = number === this.lit
    const dimmed = this.lit !== null && !lit
    const styles = [
      new Style({ stroke: new Stroke({ color: dimmed ? '#ffffff40' : '#ffffffd0', width: lit ? 7 : 5 }), zIndex: 1 }),
      new Style({
        stroke: new Stroke({ color: dimmed ? faded(colour, 0.55) : colour, width: lit ? 4 : 2.5 }),
        fill: new Fill({ color: faded(colour, (filled ? 0.28 : 0.06) + (lit ? 0.16 : 0)) }),
        zIndex: 2,
      }),
    ]
    if (labelled || lit) styles.push(labelStyle(`${number}${label ? `  ${label}` : ''}`, colour, lit))
    return styles
  }
}

function labelStyle(words: string, colour: string, lit: boolean): Style {
  return new Style({
    geometry: (feature) => new Point(getTopLeft((feature.getGeometry() as Geometry).getExtent())),
    zIndex: lit ? 10 : 3,
    text: new Text({
      text: words,
      font: FONT,
      fill: new Fill({ color: '#101716' }),
      backgroundFill: new Fill({ color: colour }),
      padding: [3, 6, 2, 6],
      textAlign: 'left',
      textBaseline: 'bottom',
      offsetX: 5,
      offsetY: -6,
    }),
  })
}

function shortened(phrase: string): string {
  return phrase.length > LONGEST_LABEL ? `${phrase.slice(0, LONGEST_LABEL - 1)}…` : phrase
}
