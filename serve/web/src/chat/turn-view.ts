/** One question with its answer, as it streams in and when it is whole. Regions in it know their shapes on the map. */
import { coloursOf } from '../map/palette'
import { el } from '../page/dom'
import { icon } from '../page/icons'
import { areaWords, countWords, lengthWords, sentence } from '../page/units'
import type { Answer, AnswerRegion } from '../server/records'
import { costCard } from './card'
import type { Turn } from './conversation'
import { readable, splitWords } from './words'

const FEW = 6
const KINDS = { box: 'box', obb: 'oriented box', polygon: 'polygon', mask: 'mask' } as const

export interface TurnEvents {
  /** A region that is pointed at in the text, or none. */
  onPoint: (turn: Turn, number: number | null) => void
  onPick: (turn: Turn, number: number) => void
  onShow: (turn: Turn) => void
  onSave: (turn: Turn, format: 'geojson' | 'gpkg' | 'png') => void
  onAgain: (turn: Turn) => void
}

export class TurnView {
  readonly element = el('article', { class: 'turn' })
  private readonly body = el('div', { class: 'answer' })
  private streamed: HTMLElement | null = null

  constructor(
    readonly turn: Turn,
    private readonly events: TurnEvents,
  ) {
    const regions = turn.shapes.map((_, index) =>
      el('span', { class: 'tag' }, icon('target', 13), `Region ${index + 1}`),
    )
    this.element.append(
      el(
        'div',
        { class: 'question' },
        el('p', {}, turn.question),
        regions.length > 0 && el('div', { class: 'tags' }, ...regions),
      ),
      this.body,
    )
    this.render()
  }

  /** Show the turn as it stands now. */
  render(): void {
    const { turn } = this
    this.element.dataset.state = turn.state
    if (turn.state === 'asking') {
      this.stream()
      return
    }
    this.streamed = null
    this.body.setAttribute('aria-busy', 'false')
    if (turn.answer) this.body.replaceChildren(...this.whole(turn.answer))
    else if (turn.state === 'failed') this.body.replaceChildren(this.problem())
    else
      this.body.replaceChildren(
        el('p', { class: 'muted' }, readable(turn.text) || 'Stopped before an answer came.'),
        this.again(),
      )
  }

  /** Say whether the map shows this turn's regions. */
  setShown(shown: boolean): void {
    this.element.classList.toggle('shown', shown)
    for (const button of this.element.querySelectorAll<HTMLButtonElement>('.show')) button.hidden = shown
  }

  /** Light what stands for a region, wherever it is named. */
  light(number: number | null): void {
    for (const node of this.element.querySelectorAll<HTMLElement>('[data-region]')) {
      node.classList.toggle('lit', node.dataset.region === String(number))
    }
  }

  /** Bring a region's row into sight and give it the focus. */
  reveal(number: number): void {
    const row = this.element.querySelector<HTMLElement>(`li [data-region="${number}"]`)
    const chip = row ?? this.element.querySelector<HTMLElement>(`[data-region="${number}"]`)
    const folded = row?.closest('details')
    if (folded) folded.open = true
    chip?.scrollIntoView({ block: 'nearest' })
    chip?.focus({ preventScroll: true })
  }

  private stream(): void {
    if (!this.streamed) {
      this.streamed = el('p', { class: 'words' })
      this.body.replaceChildren(this.streamed)
      this.body.setAttribute('aria-busy', 'true')
    }
    const words = readable(this.turn.text)
    this.streamed.textContent = words
    this.streamed.classList.toggle('waiting', !words)
    if (!words) this.streamed.textContent = 'Looking'
  }

  private problem(): HTMLElement {
    return el(
      'div',
      { class: 'problem', role: 'alert' },
      icon('alert'),
      el('div', {}, el('p', {}, this.turn.problem ?? ''), this.again()),
    )
  }

  private again(): HTMLElement {
    return el(
      'button',
      { type: 'button', class: 'plain', on: { click: () => this.events.onAgain(this.turn) } },
      'Ask again',
    )
  }

  private *whole(answer: Answer): Generator<HTMLElement> {
    const colours = coloursOf(answer.regions.map((region) => region.phrase))
    const words = el('p', { class: 'words' })
    for (const part of splitWords(answer.words, answer.regions.length)) {
      words.append(typeof part === 'string' ? part : this.chip(part, colours[part - 1] ?? ''))
    }
    yield words
    if (answer.regions.length) yield this.regions(answer, colours)
    for (const note of [...answer.notes, ...answer.issues.map(({ kind, detail }) => `${kind}: ${detail}`)]) {
      yield el('p', { class: 'note' }, sentence(note))
    }
    yield this.actions(answer)
    yield costCard(answer)
  }

  private chip(number: number, colour: string): HTMLElement {
    const chip = el('button', { type: 'button', class: 'chip', ...this.linked(number) }, String(number))
    chip.setAttribute('aria-label', `Region ${number}: go to it on the map`)
    chip.style.setProperty('--colour', colour)
    return chip
  }

  private regions(answer: Answer, colours: string[]): HTMLElement {
    const rows = answer.regions.map((region, index) => {
      const row = el(
        'button',
        { type: 'button', class: 'region', ...this.linked(region.number) },
        el('span', { class: 'swatch' }, String(region.number)),
        el('span', { class: 'phrase' }, region.phrase || 'region', el('small', {}, KINDS[region.geometry_px.kind])),
        el('span', { class: 'size' }, sizeOf(region)),
      )
      row.style.setProperty('--colour', colours[index] ?? '')
      return el('li', {}, row)
    })
    const list = el('ul', { class: 'regions', 'aria-label': 'Regions of this answer' }, ...rows)
    if (rows.length <= FEW) return list
    return el('details', { class: 'many' }, el('summary', {}, `${countWords(rows.length)} regions`), list)
  }

  private linked(number: number) {
    const { turn, events } = this
    return {
      'data-region': number,
      on: {
        mouseenter: () => events.onPoint(turn, number),
        mouseleave: () => events.onPoint(turn, null),
        focus: () => events.onPoint(turn, number),
        blur: () => events.onPoint(turn, null),
        click: () => events.onPick(turn, number),
      },
    }
  }

  private actions(answer: Answer): HTMLElement {
    const { turn, events } = this
    const save = (format: 'geojson' | 'gpkg' | 'png', words: string, title: string) =>
      el('button', { type: 'button', class: 'plain', title, on: { click: () => events.onSave(turn, format) } }, words)
    const show = el(
      'button',
      { type: 'button', class: 'plain show', on: { click: () => events.onShow(turn) } },
      'Show on the map',
    )
    const some = answer.regions.length > 0
    return el(
      'div',
      { class: 'actions' },
      some && show,
      some && save('geojson', 'GeoJSON', 'Download the regions as GeoJSON'),
      some && save('gpkg', 'GeoPackage', 'Download the regions as a GeoPackage, in the CRS of the image'),
      save('png', 'PNG', 'Download a picture of what the map shows'),
    )
  }
}

function sizeOf(region: AnswerRegion): string {
  if (region.area_m2 === null) return `${countWords(region.area_px)} px²`
  const long = region.length_m === null ? '' : `, ${lengthWords(region.length_m)} long`
  return `${areaWords(region.area_m2)}${long}`
}
