/** What an answer cost and what was read for it, as a card that opens on demand. */
import { el } from '../page/dom'
import { countWords } from '../page/units'
import type { Answer, Cost } from '../server/records'

const STAGE_WORDS: Record<string, string> = { read: 'Reading the image', generate: 'Writing the answer' }
const MOST_STEPS = 12

/** Build the card of an answer, closed. */
export function costCard(answer: Answer): HTMLElement {
  return el(
    'details',
    { class: 'card' },
    el('summary', {}, 'How this was answered'),
    answer.cost && facts(answer.cost),
    answer.cost && stages(answer.cost),
    answer.trace.length > 0 && trace(answer),
    answer.text !== '' && el('h4', {}, "The model's own words"),
    answer.text !== '' && el('pre', { tabindex: 0, 'aria-label': "The model's own words" }, answer.text),
  )
}

function facts(cost: Cost): HTMLElement {
  const rows: [string, string][] = [
    ['Tiles read', countWords(cost.tiles)],
    ['Visual tokens', countWords(cost.visual_tokens)],
    ['Prompt tokens', countWords(cost.prompt_tokens)],
    ['New tokens', countWords(cost.new_tokens)],
    ['Time', `${countWords(totalMs(cost))} ms`],
    ['Peak memory', `${countWords(cost.peak_rss_mb)} MB`],
  ]
  return el(
    'dl',
    { class: 'facts' },
    ...rows.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
  )
}

function stages(cost: Cost): HTMLElement {
  const total = Math.max(totalMs(cost), 1)
  const bars = Object.entries(cost.stage_ms).map(([name, ms]) =>
    el(
      'li',
      {},
      el('span', {}, STAGE_WORDS[name] ?? name),
      el('progress', { max: total, value: ms, 'aria-label': STAGE_WORDS[name] ?? name }),
      el('span', { class: 'number' }, `${countWords(ms)} ms`),
    ),
  )
  return el('ul', { class: 'stages' }, ...bars)
}

function trace(answer: Answer): DocumentFragment {
  const steps = answer.trace.slice(0, MOST_STEPS).map(({ image, window_px: [x, y, w, h], rendering, reason }) => {
    const date = answer.images.length > 1 ? `date ${image + 1}, ` : ''
    return el('li', {}, `${date}${w} × ${h} px at ${x}, ${y} (${rendering}): ${reason}`)
  })
  const more = answer.trace.length - steps.length
  if (more > 0) steps.push(el('li', {}, `and ${more} more tiles`))
  const part = document.createDocumentFragment()
  part.append(el('h4', {}, 'What was read'), el('ol', { class: 'trace' }, ...steps))
  return part
}

function totalMs(cost: Cost): number {
  return Object.values(cost.stage_ms).reduce((sum, ms) => sum + ms, 0)
}
