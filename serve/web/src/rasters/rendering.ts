/** Which bands are shown, on the map and to the model alike: a rendering of the raster, or three bands by choice. */
import { el, find } from '../page/dom'
import type { Raster, TileSet } from '../server/records'

const OWN = 'own'
const TITLES: Record<string, string> = {
  true: 'True colour',
  false: 'False colour',
  ndvi: 'Vegetation (NDVI)',
  ndwi: 'Water (NDWI)',
  swir: 'Shortwave infrared',
  sar: 'Radar',
  gray: 'Grey',
  palette: 'Own palette',
}

export class RenderingChoice {
  private readonly place = find('#rendering')
  private readonly select = find<HTMLSelectElement>('#bands')
  private readonly own = find('#own-bands')
  private readonly meaning = find('#bands-meaning')
  private tiles: TileSet | null = null

  constructor(private readonly onChange: (bands: string | null) => void) {
    this.select.addEventListener('change', () => this.changed())
  }

  /** Offer what a raster can show, with `bands` chosen; null takes the choice away. */
  offer(raster: Raster | null, tiles: TileSet | null, bands: string | null): void {
    this.tiles = tiles
    this.place.hidden = !raster || !tiles || (tiles.renderings.length < 2 && raster.bands.length < 2)
    if (!raster || !tiles) return
    const options = tiles.renderings.map(({ name }, index) =>
      el('option', { value: index ? name : '' }, TITLES[name] ?? `Bands ${name}`),
    )
    if (raster.bands.length > 1) options.push(el('option', { value: OWN }, 'Bands of your choice'))
    this.select.replaceChildren(...options)
    const known = options.some((option) => option.value === (bands ?? ''))
    this.select.value = known ? (bands ?? '') : OWN
    this.offerBands(raster, known ? null : bands)
    this.explain()
  }

  private offerBands(raster: Raster, bands: string | null): void {
    const chosen = (bands ?? '1,2,3').split(',').map(Number)
    const selects = ['Red', 'Green', 'Blue'].map((colour, index) => {
      const options = raster.bands.map((label, band) => el('option', { value: band + 1 }, label))
      const select = el('select', { 'aria-label': `${colour} shows`, on: { change: () => this.changed() } }, ...options)
      select.value = String(Math.min(chosen[index] ?? 1, raster.bands.length))
      return el('label', {}, el('span', {}, colour), select)
    })
    this.own.replaceChildren(...selects)
    this.own.hidden = this.select.value !== OWN
  }

  private changed(): void {
    const isOwn = this.select.value === OWN
    this.own.hidden = !isOwn
    const numbers = [...this.own.querySelectorAll('select')].map((select) => select.value).join(',')
    this.explain()
    this.onChange(isOwn ? numbers : this.select.value || null)
  }

  private explain(): void {
    const index = this.select.selectedIndex
    this.meaning.textContent = this.select.value === OWN ? '' : (this.tiles?.renderings[index]?.sentence ?? '')
  }
}
