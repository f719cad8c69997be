/** The list of earlier conversations: opened again, or forgotten. */
import { el, find } from '../page/dom'
import { icon } from '../page/icons'
import { agoWords } from '../page/units'
import { type Conversation, titleOf } from './conversation'
import type { History } from './history'

export class HistoryPanel {
  private readonly list = find('#history')
  private readonly part = find('#history-part')

  constructor(
    private readonly history: History,
    private readonly onOpen: (conversation: Conversation) => void,
  ) {
    find('#forget-all').addEventListener('click', () => {
      if (!confirm('Forget all conversations of this browser with this server?')) return
      history.clear()
      this.render(null)
    })
  }

  /** Show what is kept; `open` is the conversation that is shown now. */
  render(open: string | null): void {
    const kept = this.history.list().filter(({ turns }) => turns.length)
    this.part.hidden = kept.length === 0
    const now = Date.now()
    this.list.replaceChildren(
      ...kept.map((conversation) => {
        const about = `${agoWords(conversation.changed, now)} · ${conversation.rasters.map(({ name }) => name).join(' and ')}`
        const pick = el(
          'button',
          {
            type: 'button',
            class: 'pick',
            'aria-current': conversation.id === open ? 'true' : null,
            on: { click: () => this.onOpen(conversation) },
          },
          icon('chat', 16),
          el('span', { class: 'about' }, el('b', {}, titleOf(conversation)), el('small', {}, about)),
        )
        const forget = () => {
          this.history.forget(conversation.id)
          this.render(open)
        }
        const drop = el(
          'button',
          {
            type: 'button',
            class: 'icon',
            title: 'Forget',
            'aria-label': `Forget: ${titleOf(conversation)}`,
            on: { click: forget },
          },
          icon('close', 15),
        )
        return el(
          'li',
          { class: conversation.id === open ? 'chosen' : '' },
          pick,
          el('span', { class: 'buttons' }, drop),
        )
      }),
    )
  }
}
