// What a page does every few seconds, or with each stream that comes and goes, leaves nothing behind: some
// stay open on a wall for months.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import { closeMenuByItself } from "../../web/dom.js";
import { sleep } from "../../web/retry.js";

let page;
beforeEach(() => {
  page = new EventTarget();
  globalThis.addEventListener = page.addEventListener.bind(page);
  globalThis.document = page;
  globalThis.Node ??= class {};
  globalThis.Element ??= class {};
});
afterEach(() => {
  delete globalThis.addEventListener;
  delete globalThis.document;
});

const count = (target, type) => getEventListeners(target, type).length;

test("a thousand sleeps leave no listener, and each can be woken", async () => {
  const { signal } = new AbortController();
  for (let number = 0; number < 1000; number++) await sleep(0, signal);
  assert.deepEqual([count(page, "online"), count(signal, "abort")], [0, 0]);
});

test("a sleep ends when the network is back, and when the signal says so", async () => {
  const life = new AbortController();
  const first = sleep(1e9, life.signal);
  page.dispatchEvent(new Event("online"));
  await first;
  const second = sleep(1e9, life.signal);
  life.abort();
  await second;
  assert.deepEqual([count(page, "online"), count(life.signal, "abort")], [0, 0]);
});

class Menu extends EventTarget {
  open = false;

  contains() {
    return false;
  }

  toggle(open) {
    this.open = open;
    this.dispatchEvent(new Event("toggle"));
  }
}

test("menus that came and went leave no listener on the page", () => {
  for (let number = 0; number < 100; number++) closeMenuByItself(new Menu());
  assert.equal(count(page, "click"), 0);
});

test("an open menu closes on a click elsewhere, and then listens no more", () => {
  const menu = new Menu();
  closeMenuByItself(menu);
  menu.toggle(true);
  page.dispatchEvent(new Event("click"));
  assert.equal(menu.open, false);
  menu.toggle(false);
  assert.equal(count(page, "click"), 0);
});
