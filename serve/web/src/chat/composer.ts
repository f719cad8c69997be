/** Where a question is written: words, the regions it speaks about, and how closely to look. */
import type { AskShape } from '../map/tools'
import { el, find } from '../page/dom'
import { icon } from '../page/icons'

export interface Wish {
  words: string
  task: string
  budget: string
  part: 'whole' | 'view'
  follow: boolean
  model: string
}

const ONE_DATE = [
  'Describe this image.',
  'Where are the buildings?',
  'How many vehicles are there?',
  'Segment the water.',
]
const TWO_DATES = ['What has changed?', 'Where are the new buildings?', 'Has anything been torn down?']
const REGION = ['What is in this region?', 'Describe this region.']
const MOST_ROWS_PX = 160

export class Composer {
  private readonly form = find<HTMLFormElement>('#composer')
  private readonly words = find<HTMLTextAreaElement>('#question')
  private readonly send = find<HTMLButtonElement>('#send')
  private readonly tags = find('#asked')
  private readonly ideas = find('#ideas')
  private shapes: AskShape[] = []
  private busy = false
  private dates = 0

  constructor(
    private readonly events: {
      onAsk: (wish: Wish) => void
      onStop: () => void
      onShapes: (shapes: AskShape[]) => void
    },
  ) {
    this.form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.submit()
    })
    this.words.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      if (!this.busy) this.submit()
    })
    this.words.addEventListener('input', () => this.settle())
    const options = find<HTMLDetailsElement>('#options')
    document.addEventListener('click', ({ target }) => {
      if (target instanceof Node && !options.contains(target)) options.open = false
    })
    options.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') options.open = false
    })
    this.setBusy(false)
  }

  get asked(): AskShape[] {
    return this.shapes
  }

  focus(): void {
    this.words.focus()
  }

  /** Speak about these regions in the next question. */
  setShapes(shapes: AskShape[]): void {
    this.shapes = shapes
    const tags = shapes.map(({ kind }, index) =>
      el(
        'span',
        { class: 'tag' },
        icon('target', 13),
        `Region ${index + 1}`,
        kind === 'view' && ' (what the map shows)',
        el(
          'button',
          { type: 'button', 'aria-label': `Leave out region ${index + 1}`, on: { click: () => this.leaveOut(index) } },
          icon('close', 13),
        ),
      ),
    )
    this.tags.replaceChildren(...tags)
    this.suggest()
    this.events.onShapes(shapes)
  }

  /** Say how many dates can be asked about: 0 takes no question. */
  setDates(dates: number): void {
    this.dates = dates
    this.words.disabled = dates === 0
    this.words.placeholder =
      dates === 0 ? 'Choose an image first' : dates === 2 ? 'Ask about both dates' : 'Ask about this image'
    this.suggest()
    this.settle()
  }

  /** While an answer comes, the button stops it. */
  setBusy(busy: boolean): void {
    this.busy = busy
    this.send.replaceChildren(icon(busy ? 'stop' : 'send', busy ? 15 : 19))
    this.send.setAttribute('aria-label', busy ? 'Stop the answer' : 'Ask')
    this.send.title = busy ? 'Stop the answer (Esc)' : 'Ask (Enter)'
    this.send.classList.toggle('busy', busy)
    this.settle()
  }

  /** Offer who may be asked, where there are several. */
  setModels(names: string[]): void {
    find('#models').hidden = names.length < 2
    find('[name=model]').replaceChildren(...names.map((name) => el('option', { value: name }, name)))
  }

  /** Offer first questions, or none. */
  offer(offered: boolean): void {
    this.ideas.hidden = !offered
  }

  private submit(): void {
    if (this.busy) {
      this.events.onStop()
      return
    }
    const words = this.words.value.trim()
    if (!words || !this.dates) return
    const data = new FormData(this.form)
    const text = (name: string) => String(data.get(name) ?? '')
    this.events.onAsk({
      words,
      task: text('task'),
      budget: text('budget'),
      part: text('part') === 'view' ? 'view' : 'whole',
      follow: data.has('follow'),
      model: text('model'),
    })
    this.words.value = ''
    this.settle()
  }

  private suggest(): void {
    const ideas = this.shapes.length ? REGION : this.dates === 2 ? TWO_DATES : this.dates === 1 ? ONE_DATE : []
    const buttons = ideas.map((words) => {
      const take = () => {
        this.words.value = words
        this.settle()
        this.focus()
        if (!this.busy) this.submit()
      }
      return el('button', { type: 'button', class: 'idea', on: { click: take } }, words)
    })
    this.ideas.replaceChildren(...buttons)
  }

  private leaveOut(index: number): void {
    this.setShapes(this.shapes.filter((_, at) => at !== index))
    this.focus()
  }

  private settle(): void {
    this.send.disabled = !this.busy && (!this.words.value.trim() || this.dates === 0)
    this.words.style.height = 'auto'
    this.words.style.height = `${Math.min(this.words.scrollHeight, MOST_ROWS_PX)}px`
  }
}
