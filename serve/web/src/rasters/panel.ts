/** The list of images: sent, chosen, compared, deleted; uploads show how far they are. */
import { el, find, nameOf } from '../page/dom'
import { icon } from '../page/icons'
import { byteWords, countWords } from '../page/units'
import type { Raster } from '../server/records'
import { wordsOf } from '../server/refusal'
import type { Server } from '../server/server'
import { thumbnail } from './thumbnail'

export interface PanelEvents {
  onChoose: (rasters: Raster[]) => void
  onFault: (words: string) => void
}

export class Panel {
  private readonly list = find('#rasters')
  private readonly uploads = find('#uploads')
  private readonly empty = find('#no-rasters')
  private rasters: Raster[] = []
  private chosen: string[] = []

  constructor(
    private readonly server: Server,
    private readonly events: PanelEvents,
  ) {
    const input = find<HTMLInputElement>('#file')
    for (const id of ['#upload', '#upload-first']) find(id).addEventListener('click', () => input.click())
    input.addEventListener('change', () => {
      void this.send([...(input.files ?? [])])
      input.value = ''
    })
    bindDrop((files) => void this.send(files))
  }

  find(id: string): Raster | undefined {
    return this.rasters.find((raster) => raster.id === id)
  }

  /** Read the list again. */
  async load(): Promise<void> {
    this.rasters = await this.server.rasters()
    this.render()
  }

  /** Mark what the map shows. */
  mark(ids: string[]): void {
    this.chosen = ids
    this.render()
  }

  /** Send files, one after the other, and show the first, or two as two dates. */
  async send(files: File[]): Promise<void> {
    const sent: Raster[] = []
    for (const file of [...files].sort((a, b) => a.name.localeCompare(b.name))) {
      const raster = await this.sendOne(file)
      if (raster) sent.push(raster)
    }
    if (!sent.length) return
    this.rasters = [...[...sent].reverse(), ...this.rasters]
    this.choose(sent.slice(0, sent.length === 2 && samePlace(sent) ? 2 : 1))
  }

  private async sendOne(file: File): Promise<Raster | null> {
    const stop = new AbortController()
    const bar = el('progress', { max: 1, value: 0, 'aria-label': `Sending ${file.name}` })
    const state = el('small', {}, `0 of ${byteWords(file.size)}`)
    const cancel = el(
      'button',
      { type: 'button', class: 'icon', 'aria-label': `Stop sending ${file.name}`, on: { click: () => stop.abort() } },
      icon('close', 15),
    )
    const item = el('li', { class: 'upload' }, el('div', {}, nameOf(file.name), state, bar), cancel)
    this.uploads.append(item)
    try {
      return await this.server.upload(
        file,
        (share) => {
          bar.value = share
          state.textContent =
            share < 1 ? `${byteWords(share * file.size)} of ${byteWords(file.size)}` : 'The server looks at it'
        },
        stop.signal,
      )
    } catch (error) {
      const words = wordsOf(error)
      this.events.onFault(words.includes(file.name) ? words : `${file.name} was not taken. ${words}`)
      return null
    } finally {
      item.remove()
    }
  }

  private choose(rasters: Raster[]): void {
    this.chosen = rasters.map(({ id }) => id)
    this.render()
    this.events.onChoose(rasters)
  }

  private async remove(raster: Raster): Promise<void> {
    if (!confirm(`Delete ${raster.name} from the server? Answers about it stay in the history.`)) return
    try {
      await this.server.remove(raster.id)
    } catch (error) {
      this.events.onFault(wordsOf(error))
      return
    }
    this.rasters = this.rasters.filter(({ id }) => id !== raster.id)
    if (this.chosen.includes(raster.id)) this.choose([])
    else this.render()
  }

  private render(): void {
    this.empty.hidden = this.rasters.length > 0
    const focused = document.activeElement?.id
    this.list.replaceChildren(...this.rasters.map((raster) => this.item(raster)))
    if (focused && this.list.querySelector(`#${CSS.escape(focused)}`)) document.getElementById(focused)?.focus()
  }

  private item(raster: Raster): HTMLElement {
    const at = this.chosen.indexOf(raster.id)
    const first = this.chosen[0] ? this.find(this.chosen[0]) : undefined
    const dated = this.chosen.length === 2
    const choose = el(
      'button',
      {
        type: 'button',
        class: 'pick',
        id: `pick-${raster.id}`,
        'aria-current': at >= 0 ? 'true' : null,
        on: { click: () => this.choose([raster]) },
      },
      thumbnail(raster, this.server),
      el(
        'span',
        { class: 'about' },
        nameOf(raster.name),
        el('small', {}, factsOf(raster)),
        dated && at >= 0 && el('em', {}, at === 0 ? 'Date 1' : 'Date 2'),
      ),
    )
    const compare = el(
      'button',
      {
        type: 'button',
        class: 'icon',
        title: 'Compare with this date',
        'aria-label': `Compare with ${raster.name}`,
        on: { click: () => first && this.choose([first, raster]) },
      },
      icon('columns', 16),
    )
    compare.hidden = !first || at >= 0
    const remove = el(
      'button',
      {
        type: 'button',
        class: 'icon',
        title: 'Delete',
        'aria-label': `Delete ${raster.name}`,
        on: { click: () => void this.remove(raster) },
      },
      icon('trash', 16),
    )
    return el(
      'li',
      { class: at >= 0 ? 'raster chosen' : 'raster' },
      choose,
      el('span', { class: 'buttons' }, compare, remove),
    )
  }
}

function factsOf(raster: Raster): string {
  const size = `${countWords(raster.width)} × ${countWords(raster.height)} px`
  const finest = raster.gsd_m === null ? 'no place on the map' : `${Number(raster.gsd_m.toPrecision(2))} m a pixel`
  return `${size}, ${finest}`
}

function samePlace([first, second]: Raster[]): boolean {
  if (!first?.bounds || !second?.bounds)
    return first?.width === second?.width && first?.height === second?.height && !first?.bounds && !second?.bounds
  const [west, south, east, north] = first.bounds
  const [otherWest, otherSouth, otherEast, otherNorth] = second.bounds
  return west < otherEast && otherWest < east && south < otherNorth && otherSouth < north
}

function bindDrop(take: (files: File[]) => void): void {
  let depth = 0
  const mark = (change: number) => {
    depth = Math.max(0, depth + change)
    document.body.classList.toggle('dropping', depth > 0)
  }
  document.addEventListener('dragenter', (event) => {
    if (event.dataTransfer?.types.includes('Files')) mark(1)
  })
  document.addEventListener('dragleave', () => mark(-1))
  document.addEventListener('dragover', (event) => event.preventDefault())
  document.addEventListener('drop', (event) => {
    event.preventDefault()
    mark(-depth)
    take([...(event.dataTransfer?.files ?? [])])
  })
}
