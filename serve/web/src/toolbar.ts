/** The buttons on the map and the keys that do the same. */
import type { Stage } from './map/stage'
import type { Tool } from './map/tools'
import { find } from './page/dom'
import { bindShortcuts } from './page/shortcuts'

export interface ToolbarActions {
  write: () => void
  useView: () => void
  clear: () => void
  step: (by: number) => void
  escape: () => void
}

const HINTS: Record<Tool, string> = {
  pan: '',
  box: 'Click two opposite corners',
  polygon: 'Click the corners, the last one twice',
  point: 'Click what you want to ask about',
  length: 'Click along the line, the last point twice',
  area: 'Click the corners, the last one twice',
}

export class Toolbar {
  private readonly bar = find('#tools')
  private readonly hint = find('#hint')

  constructor(
    private readonly stage: Stage,
    actions: ToolbarActions,
  ) {
    for (const button of this.bar.querySelectorAll<HTMLElement>('[data-tool]')) {
      button.addEventListener('click', () => this.take(button.dataset.tool as Tool))
    }
    const clicks: Record<string, () => void> = {
      '#use-view': actions.useView,
      '#clear': actions.clear,
      '#zoom-in': () => stage.zoom(1),
      '#zoom-out': () => stage.zoom(-1),
      '#fit': () => stage.fit(),
      '#help-button': help,
    }
    for (const [selector, action] of Object.entries(clicks)) find(selector).addEventListener('click', action)
    const map = find('#map')
    bindShortcuts(
      {
        '/': actions.write,
        u: () => find('#upload').click(),
        b: () => this.draw('box'),
        p: () => this.draw('polygon'),
        o: () => this.draw('point'),
        l: () => this.draw('length'),
        a: () => this.draw('area'),
        v: actions.useView,
        x: actions.clear,
        f: () => stage.fit(),
        m: () => map.focus(),
        s: () => find('#swipe').focus(),
        '[': () => actions.step(-1),
        ']': () => actions.step(1),
        '?': help,
      },
      () => {
        if (stage.tools.tool === 'pan') actions.escape()
        else this.take('pan')
      },
    )
    this.setTool('pan')
  }

  /** Show which tool is in use. */
  setTool(tool: Tool): void {
    for (const button of this.bar.querySelectorAll<HTMLElement>('[data-tool]')) {
      button.setAttribute('aria-pressed', String(button.dataset.tool === tool))
    }
    this.hint.textContent = HINTS[tool]
    this.hint.hidden = !HINTS[tool]
  }

  private take(tool: Tool): void {
    this.stage.tools.use(this.stage.tools.tool === tool ? 'pan' : tool)
  }

  /** Take a tool by key: the map gets the focus, so that Enter and the arrows draw. */
  private draw(tool: Tool): void {
    this.take(tool)
    find('#map').focus()
  }
}

function help(): void {
  find<HTMLDialogElement>('#help-dialog').showModal()
}
