"use strict";
const {data, options} = JSON.parse(document.getElementById("cast").textContent);
AsciinemaPlayer.create({data}, document.getElementById("player"), options);
