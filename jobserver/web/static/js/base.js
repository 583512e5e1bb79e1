// The parts of the page's script: each file of this folder is a block of one function (see pages/assets.py).
const base = document.documentElement.dataset.root; // the path of BASE_URL
const $ = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const parse = (text) => new DOMParser().parseFromString(text, "text/html");
