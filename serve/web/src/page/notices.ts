/** Short sentences at the edge of the page: faults stay until they are read, the rest goes by itself. */
import { el, find } from './dom'
import { icon } from './icons'

const SECONDS = 6
const MOST = 4

export class Notices {
  private readonly list = find('#notices')
  private readonly spoken = find('#spoken')

  /** Show a fault. */
  fault(words: string): void {
    this.add(words, 'fault')
  }

  /** Show something worth knowing. */
  tell(words: string): void {
    const notice = this.add(words, 'news')
    setTimeout(() => notice.remove(), SECONDS * 1000)
  }

  /** Say something to who listens, without showing it. */
  say(words: string): void {
    this.spoken.textContent = words
  }

  private add(words: string, kind: 'fault' | 'news'): HTMLElement {
    for (const shown of this.list.children)
      if (shown.firstElementChild?.nextElementSibling?.textContent === words) shown.remove()
    while (this.list.children.length >= MOST) this.list.firstElementChild?.remove()
    const close = el(
      'button',
      { type: 'button', 'aria-label': 'Close this message', on: { click: () => notice.remove() } },
      icon('close', 15),
    )
    const notice = el(
      'div',
      { class: `notice ${kind}`, role: kind === 'fault' ? 'alert' : 'status' },
      icon('alert'),
      el('p', {}, words),
      close,
    )
    this.list.append(notice)
    return notice
  }
}
